// Lanes of the jobs on volumes (lanes.ts). What was made is found by its name and cleared away by ordinary commands.
import { createReadStream } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import { type Fields, list, type World } from '../world.ts'
import type { Lane } from './lanes.ts'

let count = 0
const label = () => `crash-volume-${++count}`

export async function aVolume(world: World, name: string): Promise<string> {
  const offerings = await list(world.client, 'listDiskOfferings', 'diskoffering')
  const diskofferingid = offerings.find(each => each['iscustomized'])?.['id'] as string
  const made = await world.client.run('createVolume', { name, zoneid: world.zone, diskofferingid, size: 1 })
  return (made['volume'] as Fields)['id'] as string
}

/** A machine that is off; its data disk, where one is asked for, attached. */
async function aMachine(world: World, image: string, name: string, volume?: string) {
  const from = (await world.registerTemplate(image, { name, passwordenabled: false })).id
  const { id } = await world.deploy(from, name, 'linked', { startvm: false })
  if (volume) await world.client.run('attachVolume', { id: volume, virtualmachineid: id })
  const clear = async (later: World) => {
    await later.expunge({ id })
    await later.deleteTemplate(from)
  }
  return { id, clear }
}

async function gone(world: World, name: string): Promise<void> {
  await world.quiet()
  for (const { id } of await list(world.client, 'listVolumes', 'volume', { name }))
    await world.client.call('deleteVolume', { id: id as string })
  await world.quiet()
}

/** Serves the image for as long as the test runs. */
async function serve(image: string): Promise<string> {
  const server = createServer((_, reply) => createReadStream(image).pipe(reply)).unref()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/image.qcow2`
}

async function startUpload(world: World, image: string, name: string): Promise<Fields> {
  await world.client.call('updateConfiguration', { name: 'allow.register.private.address', value: true })
  const url = await serve(image)
  return world.client.call('uploadVolume', { name, url, format: 'QCOW2', zoneid: world.zone })
}

/** A job on a volume of its own, which `prepare` brings where it must be. */
function onVolume(kind: string, start: (world: World, id: string) => Promise<unknown>): Lane {
  return {
    kind,
    async arrange(world) {
      const name = label()
      const id = await aVolume(world, name)
      return { start: () => start(world, id), clear: later => gone(later, name) }
    },
  }
}

/** A job on a volume and the machine, off, that it is attached to, or that it is going to be attached to. */
function withMachine(kind: string, isAttached: boolean, command: string, failAt: string): Lane {
  return {
    kind,
    failAt,
    async arrange(world, image) {
      const name = label()
      const volume = await aVolume(world, name)
      const { id, clear } = await aMachine(world, image, name, isAttached ? volume : undefined)
      const parameters = { id: volume, size: 2, zoneid: world.zone, mode: 'HTTP_DOWNLOAD' }
      return {
        start: () => world.client.call(command, { ...parameters, ...(isAttached ? {} : { virtualmachineid: id }) }),
        async clear(later) {
          await later.quiet()
          await clear(later)
          await gone(later, name)
        },
      }
    },
  }
}

export const volumeLanes: readonly Lane[] = [
  {
    kind: 'create-volume',
    async arrange(world) {
      const name = label()
      const offerings = await list(world.client, 'listDiskOfferings', 'diskoffering')
      const diskofferingid = offerings.find(each => !each['iscustomized'])?.['id'] as string
      return {
        start: () => world.client.call('createVolume', { name, zoneid: world.zone, diskofferingid }),
        clear: later => gone(later, name),
      }
    },
  },
  onVolume('update-volume', (world, id) => world.client.call('updateVolume', { id, displayvolume: false })),
  onVolume('destroy-volume', (world, id) => world.client.call('destroyVolume', { id })),
  withMachine('attach-volume', false, 'attachVolume', 'publish/done/before'),
  withMachine('detach-volume', true, 'detachVolume', 'publish/done/before'),
  withMachine('resize-volume', true, 'resizeVolume', 'publish/done/before'),
  withMachine('extract-volume', true, 'extractVolume', 'offer/done/before'),
  {
    kind: 'migrate-volume',
    failAt: 'publish/done/before',
    async arrange(world, image) {
      const name = label()
      const { id, clear } = await aMachine(world, image, name)
      const [root] = await list(world.client, 'listVolumes', 'volume', { virtualmachineid: id })
      const { id: storageid } = await world.addPool(`${dirname(image)}/${name}`, name)
      return {
        start: () => world.client.call('migrateVolume', { volumeid: root?.['id'] as string, storageid }),
        async clear(later) {
          await later.quiet()
          await clear(later)
          await later.client.run('enableStorageMaintenance', { id: storageid })
          await later.client.call('deleteStoragePool', { id: storageid })
        },
      }
    },
  },
  {
    kind: 'upload-volume',
    failAt: 'publish/done/before',
    async arrange(world, image) {
      const name = label()
      return { start: () => startUpload(world, image, name), clear: later => gone(later, name) }
    },
  },
  {
    kind: 'discard-upload',
    async arrange(world, image) {
      const name = label()
      const { id } = (await startUpload(world, image, name)) as { id: string }
      await world.quiet()
      return { start: () => world.client.call('deleteVolume', { id }), clear: later => gone(later, name) }
    },
  },
]
