// Chains of layers for tests: disks that share what they stand on with others, and long ones.
import { type LayerId, newId, type VmId, type VolumeId } from '@ramet/core/ids.ts'
import { simulatedDriver } from '../drivers/simulated/driver.ts'
import { contentOf, writeDisk } from '../drivers/simulated/snapshots.ts'
import { layerChain, layerRef, publishLayer, reserveLayer } from '../store/layers.ts'
import { volumeById, volumesOf } from '../store/volumes.ts'
import type { Lab } from './lab.ts'
import { remove, take } from './vm-snapshots.ts'
import { aMachine, aUsed } from './volumes.ts'

/** A loose volume whose disk stands on the layer, as one made of a VM snapshot does. */
export async function aVolumeOn(lab: Lab, layer: LayerId): Promise<VolumeId> {
  const { db } = lab.app
  const [volume, id] = [await aUsed(lab), newId<'layer'>()]
  const { pool, account, virtualBytes } = await rowOf(lab, layer)
  await reserveLayer(db as never, { id, pool, parent: layer, account, virtualBytes, expectedBytes: 0 })
  const facts = await simulatedDriver(lab.world).layers.fork(
    await layerRef(db, id),
    await layerChain(db, layer),
    virtualBytes,
    {
      accountNumber: 1,
    },
  )
  await publishLayer(db as never, id, facts)
  await db.updateTable('volume').set({ layer_id: id, pool_id: pool }).where('id', '=', volume).execute()
  return volume
}

async function rowOf(lab: Lab, layer: LayerId) {
  const row = await lab.app.db.selectFrom('layer').selectAll().where('id', '=', layer).executeTakeFirstOrThrow()
  return { pool: row.pool_id, account: row.account_id, virtualBytes: row.virtual_bytes }
}

/** A running machine that wrote block after block, each into a layer that lost its name since, and that another disk stands on. */
export async function aLongChain(lab: Lab, unnamed: number): Promise<{ vm: VmId; others: VolumeId[] }> {
  const { vm } = await aMachine(lab, 'Running')
  const others: VolumeId[] = []
  for (let block = 0; block < unnamed; block += 1) {
    writeDisk(lab.world, vm, 0, block, `block ${block}`)
    const layer = await activeLayer(lab, vm)
    const snapshot = await take(lab, vm, `s${block}`)
    others.push(await aVolumeOn(lab, layer))
    await remove(lab, snapshot)
  }
  return { vm, others }
}

export async function activeLayer(lab: Lab, vm: VmId): Promise<LayerId> {
  const [root] = await volumesOf(lab.app.db, vm)
  return root?.layer_id as LayerId
}

export async function depthOf(lab: Lab, vm: VmId): Promise<number> {
  return (await layerChain(lab.app.db, await activeLayer(lab, vm))).length
}

/** What a reader of the volume finds, by block. */
export async function shownBy(lab: Lab, volume: VolumeId) {
  return contentOf(lab.world, (await volumeById(lab.app.db, volume))?.layer_id ?? null)
}
