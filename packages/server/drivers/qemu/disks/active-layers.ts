// What a running machine really writes, asked of its process: names of nodes begin with the disk's place and the layer's id
// (blockdev.ts), also that of the filter which stands on top while a layer is merged (merge.ts).
import { basename } from 'node:path'
import { parseId } from '@ramet/core/ids.ts'
import type { LayerId } from '@ramet/core/ids.ts'
import type { Machine } from '../machines/machine.ts'

export async function activeLayers(machine: Machine): Promise<Map<number, LayerId>> {
  const qmp = await machine.monitor()
  const [blocks, nodes] = await Promise.all([
    qmp.execute('query-block'),
    qmp.execute('query-named-block-nodes', { flat: true }),
  ])
  const ids = nodes.filter(({ drv }) => drv === 'file').map(({ file }) => parseId<'layer'>(basename(file, '.qcow2')))
  const active = new Map<number, LayerId>()
  for (const { inserted } of blocks) {
    const [, place, start] = /^d(\d+)-([0-9a-f]{24})/.exec(inserted?.['node-name'] ?? '') ?? []
    const id = start && ids.find(each => each?.replaceAll('-', '').startsWith(start))
    if (id) active.set(Number(place), id)
  }
  return active
}
