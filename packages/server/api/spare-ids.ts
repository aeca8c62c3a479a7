// The ids of clones for which something waits already (watch/warm.ts): an instant that was made before has a memory image.
import type { MemoryImageId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import type { CloneNode } from '../jobs/clone-node.ts'
import type { Tx } from '../store/database.ts'
import type { Spare } from '../watch/warm.ts'

export async function takeSpares(app: App, tx: Tx, node: CloneNode | null, count: number): Promise<readonly Spare[]> {
  const image = node?.goesOn ? await imageOf(tx, node) : null
  return image ? app.spares.take(image, count) : []
}

async function imageOf(tx: Tx, { from }: CloneNode): Promise<MemoryImageId | null | undefined> {
  if ('itself' in from || ('fork' in from && from.job)) return null
  const named = await ('fork' in from
    ? tx.selectFrom('fork').select('memory_image_id as image').where('id', '=', from.fork)
    : tx.selectFrom('vm_snapshot').select('memory_image_id as image').where('id', '=', from.vmSnapshot)
  ).executeTakeFirst()
  return named?.image
}
