// ISOs on a real server with real guests: one that a running Linux reads from its CD-ROM drive, across changes of the medium, a
// stop and a restart of the server; and one that a machine with an empty disk boots from.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { bootableCd } from '@ramet/server/testing/boot-cd.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'
import { Cloud, type Fields, list, type Machine, type World } from './world.ts'

describe('ISOs', { timeout: 600_000 }, () => {
  let cloud: Cloud
  let guest: Machine
  const isos = new Map<string, string>()

  const world = (): World => cloud.world
  const register = async (word: string) => {
    const file = join(cloud.folder, `${word}.iso`)
    await writeFile(file, bootableCd(`${word} has booted`, [{ name: 'word', bytes: Buffer.from(`${word}\n`) }]))
    isos.set(word, await world().registerIso(file, word))
  }
  const idOf = (word: string) => isos.get(word) ?? ''
  // A drive tells once that its medium has changed, by failing; where udev runs it has heard that before anybody reads.
  const mount = 'mkdir -p /media/cd; head -c 1 /dev/sr0 >/dev/null 2>&1; mount -t iso9660 -o ro /dev/sr0 /media/cd'
  const onCd = async () => {
    const read = `${mount} && cat /media/cd/word && umount /media/cd`
    return (await world().ssh(guest, read).catch(String)).trim()
  }

  before(async () => {
    const { file } = await buildTiny({ directory: imageCache() })
    cloud = await Cloud.open()
    const { id } = await world().registerTemplate(file)
    for (const word of ['apple', 'pear']) await register(word)
    guest = await world().deploy(id, 'reader')
    await world().awaitSsh(guest)
    await world().ssh(guest, 'until [ -b /dev/sr0 ]; do sleep 1; done') // it looks for drivers when it is up
  })
  after(() => cloud?.close())

  test('a running guest reads the CD that is put into its drive, and the one that takes its place', async () => {
    for (const word of ['apple', 'pear']) {
      await world().client.run('attachIso', { virtualmachineid: guest.id, id: idOf(word) })
      assert.equal(await onCd(), word)
    }
  })

  test('a guest that holds the CD keeps it, unless it is taken by force', async () => {
    const detach = { virtualmachineid: guest.id }
    await world().ssh(guest, mount)
    await assert.rejects(world().client.run('detachIso', detach), /did not let go/)
    assert.equal((await world().ssh(guest, 'cat /media/cd/word')).trim(), 'pear')
    await world().client.run('detachIso', { ...detach, forced: true })
    await world().ssh(guest, 'umount -l /media/cd')
    assert.match(await onCd(), /No medium found|mounting .* failed/)
  })

  test('a machine with an empty disk boots from its ISO', async () => {
    const [disk] = await list(world().client, 'listDiskOfferings', 'diskoffering', { name: 'Small' })
    const machine = await world().deploy(idOf('apple'), 'installer', undefined, {
      diskofferingid: disk?.['id'] as string,
    })
    await eventually('the loader on the CD writes to the console', async () => {
      const log = await world().client.call('getConsoleLog', { id: machine.id })
      return JSON.stringify(log).includes('apple has booted') || null
    })
    const [shown] = await list(world().client, 'listVirtualMachines', 'virtualmachine', { id: machine.id })
    assert.deepEqual([(shown as Fields)['isoname'], (shown as Fields)['state']], ['apple', 'Running'])
    await assert.rejects(world().client.run('deleteIso', { id: idOf('apple') }), /in the drive of installer/)
    await world().expunge(machine)
    await world().client.run('deleteIso', { id: idOf('apple') })
  })
})
