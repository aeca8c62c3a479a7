// Twenty instant clones of one machine, by the API: nothing that must be one's own is shared by any two of them.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'
import { Cloud, list, type Machine, type World } from './world.ts'

const run = promisify(execFile)
const count = 20
/** Goes on in the clones: whatever it draws there is drawn before anybody has spoken with them. */
const drawing =
  '(while :; do echo $(cut -d " " -f 1 /proc/uptime) $(head -c 32 /dev/urandom | base64 -w 0); usleep 20000; done) > /run/drawn 2>/dev/null < /dev/null &'
const forkSaid = "dmesg | sed -n 's/^\\[ *\\([0-9.]*\\)\\].*virtual machine fork.*/\\1/p' | tail -n 1"

describe(`identity of ${count} instant clones`, { timeout: 900_000 }, () => {
  let cloud: Cloud
  let source: Machine
  let clones: Machine[]
  const world = (): World => cloud.world
  const all = <T>(act: (clone: Machine) => Promise<T>) => Promise.all(clones.map(act))

  before(async () => {
    cloud = await Cloud.open()
    const { client } = world()
    await client.call('updateConfiguration', { name: 'cpu.overprovisioning.factor', value: 100 })
    const { file } = await buildTiny({ directory: imageCache() })
    source = await world().deploy((await world().registerTemplate(file)).id, 'source', 'linked')
    await world().awaitSsh(source)
    await world().ssh(source, drawing)
    const made = await world().fork(source, 'each', count)
    await world().awaitCustomized(made, 600)
    clones = await world().machines({ ids: made.map(({ id }) => id).join() })
    for (const clone of clones) await world().awaitSsh(clone)
  })
  after(() => cloud?.close())

  test('no two draw the same random numbers, from the first 32 bytes after the cut on', async () => {
    const drawn = await all(async clone => {
      const at = Number(await world().ssh(clone, forkSaid))
      assert.ok(at > 0, `${clone.name}: its kernel saw no other generation`)
      const lines = (await world().ssh(clone, 'head -n 100000 /run/drawn')).split('\n').map(line => line.split(' '))
      const later = lines.filter(([when, bytes]) => Number(when) > at && bytes?.length === 44)
      assert.ok(later.length > 0)
      return later.map(([, bytes]) => bytes)
    })
    const firsts = drawn.map(([first]) => first)
    assert.equal(new Set(firsts).size, count)
    assert.equal(new Set(drawn.flat()).size, drawn.flat().length)
  })

  test('no two have a machine-id, a hostname, an SSH host key or a MAC in common', async () => {
    const said = await all(clone => world().ssh(clone, 'cat /etc/machine-id; hostname'))
    assert.equal(new Set(said.flatMap(text => text.split('\n'))).size, 2 * count)
    const keys = await all(async ({ sshAddress }) => {
      const [host = '', port = ''] = sshAddress.split(':')
      return (await run('ssh-keyscan', ['-T', '20', '-t', 'ed25519', '-p', port, host])).stdout.trim().split(' ').at(-1)
    })
    assert.equal(new Set(keys).size, count)
    const cards = await all(clone => world().ssh(clone, 'cat /sys/class/net/eth*/address'))
    assert.equal(new Set(cards).size, count)
    assert.deepEqual(
      cards.map(text => text.split('\n').length),
      clones.map(() => 1),
      'none has a card of its source',
    )
    const ids = clones.map(({ id }) => id).join()
    const shown = await list(world().client, 'listVirtualMachines', 'virtualmachine', { ids })
    assert.deepEqual(
      shown.map(each => [each['customized'], each['identityproblems']]),
      clones.map(() => [true, []]),
    )
  })
})
