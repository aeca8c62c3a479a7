// A linked and a full clone of one template, from the call that makes them to the last file that goes: what the API says,
// what the guests find inside, and what their host has on disk and in its process list. The two guests are shared by all
// tests, which tell one story in order.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'
import { openSession, sshByPassword } from './ssh.ts'
import { Cloud, type Fields, list, type Machine, type World } from './world.ts'

const run = promisify(execFile)

const userData = `#cloud-config
write_files:
  - path: /root/from-the-user
    content: words that only user data knows
`

describe('a linked and a full clone of one template', { timeout: 600_000 }, () => {
  let cloud: Cloud
  let template: string
  let linked: Machine
  let full: Machine
  let base: string // the layer that the template became on primary storage

  before(async () => {
    const { file } = await buildTiny({ directory: imageCache() })
    cloud = await Cloud.open()
    template = (await world().registerTemplate(file)).id
  })
  after(() => cloud?.close())

  const world = (): World => cloud.world

  test('are deployed at the same time, and the template is copied to primary storage once', async () => {
    ;[linked, full] = await Promise.all([
      world().deploy(template, 'linked', 'linked', { userdata: Buffer.from(userData).toString('base64') }),
      world().deploy(template, 'full', 'full'),
    ])
    const jobs = await list(world().client, 'listAsyncJobs', 'asyncjobs', { listall: true, keyword: 'prepareTemplate' })
    const { downloaddetails } = (await world().template(template)) as { downloaddetails: Fields[] }
    assert.equal(jobs.length, 1)
    assert.deepEqual(
      downloaddetails.map(copy => copy['downloadState']),
      ['DOWNLOADED'],
    )
    assert.equal((await cloud.layerFiles()).length, 3)
  })

  test('are described by the API as what they are', async () => {
    const [one, other] = [await fieldsOf(linked), await fieldsOf(full)]
    assert.deepEqual(pick(one, 'name', 'state', 'clonetype', 'chaindepth'), {
      name: 'linked',
      state: 'Running',
      clonetype: 'linked',
      chaindepth: 2,
    })
    assert.deepEqual(pick(other, 'name', 'state', 'clonetype', 'chaindepth'), {
      name: 'full',
      state: 'Running',
      clonetype: 'full',
      chaindepth: 1,
    })
    assert.ok((one['exclusivebytes'] as number) <= 262_144, `${String(one['exclusivebytes'])} bytes of its own`)
    assert.ok((one['sharedbytes'] as number) > 10_000_000)
    assert.equal(other['sharedbytes'], 0)
    for (const machine of [one, other]) {
      assert.match(machine['sshaddress'] as string, /^127\.0\.0\.1:\d+$/)
      const [nic] = machine['nic'] as Fields[]
      assert.match(nic?.['macaddress'] as string, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/)
      assert.equal(nic?.['isdefault'], true)
      assert.equal(machine['passwordenabled'], true)
    }
  })

  test('have each a password, which only the job that made them tells', async () => {
    for (const machine of [linked, full]) {
      assert.match(machine.password ?? '', /^\w{14}$/)
      assert.equal((await fieldsOf(machine))['password'], undefined)
    }
    assert.notEqual(linked.password, full.password)
  })

  test('answer by SSH key under their own names', async () => {
    await Promise.all([linked, full].map(machine => world().awaitSsh(machine)))
    assert.deepEqual(await Promise.all([linked, full].map(machine => world().ssh(machine, 'hostname'))), [
      'linked',
      'full',
    ])
  })

  test('have the addresses that were planned for them', async () => {
    for (const machine of [linked, full]) {
      const address = (await fieldsOf(machine))['ipaddress'] as string
      assert.match(address, /^10\.1\./)
      assert.match(await world().ssh(machine, 'busybox ip -4 -o addr'), new RegExp(` ${address}/16 `))
    }
    assert.notEqual((await fieldsOf(linked))['ipaddress'], (await fieldsOf(full))['ipaddress'])
  })

  test('let their password in, and not the other one’s', async () => {
    for (const machine of [linked, full])
      assert.equal(await sshByPassword(machine.sshAddress, machine.password ?? '', 'hostname'), machine.name)
    await assert.rejects(sshByPassword(linked.sshAddress, full.password ?? '', 'true'), /Permission denied/)
  })

  test('get the user data of their call, beside key and password', async () => {
    assert.equal(await world().ssh(linked, 'cat /root/from-the-user'), 'words that only user data knows')
    assert.equal(await world().ssh(full, 'ls /root/from-the-user 2>/dev/null || echo none'), 'none')
  })

  test('do not see each other’s files and have identities of their own', async () => {
    await Promise.all(
      [linked, full].map(machine => world().ssh(machine, `echo ${machine.name} > /root/mine-${machine.name}`)),
    )
    const seen = await Promise.all([linked, full].map(machine => world().ssh(machine, 'cd /root && echo mine-*')))
    assert.deepEqual(seen, ['mine-linked', 'mine-full'])
    const [one, other] = await Promise.all([linked, full].map(machine => world().ssh(machine, 'cat /etc/machine-id')))
    assert.match(one ?? '', /^[0-9a-f]{32}$/)
    assert.notEqual(one, other)
  })

  const notRoot = process.getuid?.() === 0 ? false : 'only a root server has users to give'
  test('run without any privilege, as a user of their account', { skip: notRoot }, async () => {
    for (const machine of [linked, full]) {
      const { instancename } = (await fieldsOf(machine)) as { instancename: string }
      const uid = String(1_900_000_000 + Number(instancename.split('-')[1]))
      const status = await statusOf(await cloud.pidOf(machine.id))
      assert.deepEqual(status['Uid']?.split('\t'), [uid, uid, uid, uid])
      assert.deepEqual(status['Gid']?.split('\t'), [uid, uid, uid, uid])
      assert.equal(status['Groups'], '')
      assert.equal(status['Seccomp'], '2')
      assert.equal(status['NoNewPrivs'], '1')
      for (const set of ['CapEff', 'CapPrm', 'CapInh', 'CapAmb']) assert.equal(status[set], '0000000000000000', set)
    }
  })

  test('have no secret on their command line, in their environment or in the server’s log', async () => {
    const log = await readFile(cloud.logFile, 'utf8')
    for (const machine of [linked, full]) {
      const pid = await cloud.pidOf(machine.id)
      const shown = (await readFile(`/proc/${pid}/cmdline`, 'utf8')) + (await readFile(`/proc/${pid}/environ`, 'utf8'))
      const secrets = [machine.password ?? '', '$6$', world().key.publicKey.split(' ')[1] ?? '', 'words that only']
      for (const secret of secrets) assert.ok(!`${shown}${log}`.includes(secret), `"${secret}" is shown`)
    }
  })

  test('their consoles can be read by the API and on the command line', async () => {
    const answer = await world().client.call('getConsoleLog', { id: linked.id })
    assert.match((answer['consolelog'] as Fields)['output'] as string, /ramet-tiny ready/)
    const { code, stdout } = await cloud.cli('getConsoleLog', `id=${full.id}`)
    assert.equal(code, 0)
    assert.match(stdout, /ramet-tiny ready/)
  })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const)
    test(`run on while the server ends by ${signal} and starts again, and so do SSH sessions`, async () => {
      const session = openSession(linked.sshAddress, world().key, 'cat')
      const lines = createInterface({ input: session.stdout })
      const echo = async (line: string) => {
        session.stdin.write(`${line}\n`)
        return (await once(lines, 'line'))[0] as string
      }
      assert.equal(await echo('before'), 'before')
      const pids = await Promise.all([linked, full].map(({ id }) => cloud.pidOf(id)))
      await cloud.restart(signal)
      assert.equal(await echo('after'), 'after')
      session.stdin.end()
      await once(session, 'close')
      assert.deepEqual(await Promise.all([linked, full].map(({ id }) => cloud.pidOf(id))), pids)
      for (const pid of pids) process.kill(pid, 0)
      for (const { id, sshAddress } of [linked, full])
        assert.deepEqual(pick({ ...(await world().machine(id)) }, 'state', 'sshAddress'), {
          state: 'Running',
          sshAddress,
        })
    })

  test('a guest that shuts itself down is Stopped, and an event says so', async () => {
    await world()
      .ssh(full, 'sync; poweroff')
      .catch(() => {}) // the connection may break
    await becomes(full, 'Stopped')
    assert.match(await lastEvent(full, 'VM.STOP'), /full is Stopped: the guest shut down/)
    assert.equal((await world().machine(full.id)).sshAddress, '')
  })

  test('a graceful stop shuts the guest down and leaves every layer sound', async () => {
    const { state } = await world().stop(linked)
    assert.equal(state, 'Stopped')
    assert.match(
      String(((await world().client.call('getConsoleLog', { id: linked.id }))['consolelog'] as Fields)['output']),
      /Power down|power off/i,
    )
    const layers = (await cloud.layerFiles()).map(name => join(cloud.dataDir, 'primary/layers', name))
    assert.equal(layers.length, 3)
    for (const layer of layers) await run('qemu-img', ['check', layer])
  })

  test('start again with their files, names and identities', async () => {
    ;[linked, full] = (await Promise.all([linked, full].map(machine => world().start(machine)))) as [Machine, Machine]
    await Promise.all([linked, full].map(machine => world().awaitSsh(machine)))
    for (const machine of [linked, full])
      assert.equal(
        await world().ssh(machine, `hostname; cat /root/mine-${machine.name}`),
        `${machine.name}\n${machine.name}`,
      )
  })

  test('a QEMU process that is killed leaves its machine Stopped, and an event says so', async () => {
    await world().ssh(linked, 'sync')
    process.kill(await cloud.pidOf(linked.id), 'SIGKILL')
    await becomes(linked, 'Stopped')
    assert.match(await lastEvent(linked, 'VM.STOP'), /linked is Stopped: the process \d+ ended/)
  })

  test('a deleted template is gone from the list, while the linked clone keeps what it stands on', async () => {
    base = await baseOf(linked)
    await world().deleteTemplate(template)
    assert.deepEqual(await list(world().client, 'listTemplates', 'template', { templatefilter: 'all' }), [])
    assert.ok((await cloud.layerFiles()).includes(base))
    await assert.rejects(world().deploy(template, 'late'), { errorcode: 431 })
  })

  test('the linked clone starts and the full clone reboots without the template, their data intact', async () => {
    const bootOf = (machine: Machine) => world().ssh(machine, 'cat /proc/sys/kernel/random/boot_id')
    const boot = await bootOf(full)
    ;[linked, full] = await Promise.all([world().start(linked), world().reboot(full)])
    await Promise.all([linked, full].map(machine => world().awaitSsh(machine)))
    assert.notEqual(await bootOf(full), boot)
    for (const machine of [linked, full])
      assert.equal(await world().ssh(machine, `cat /root/mine-${machine.name}`), machine.name)
  })

  test('the last linked clone takes the layer with it; the full clone never held it', async () => {
    await world().expunge(linked)
    await world().quiet()
    assert.equal((await cloud.layerFiles()).length, 1)
    assert.ok(!(await cloud.layerFiles()).includes(base))
    assert.equal(await world().ssh(full, 'md5sum /bin/busybox >/dev/null && hostname'), 'full')
    await assert.rejects(access(join(cloud.dataDir, 'vms', linked.id)))
  })

  test('when all is expunged nothing is left, and doctor agrees', async () => {
    await world().expunge(full)
    await world().quiet()
    const { code, stdout } = await cloud.cli('doctor', '--json')
    const { networks, ...said } = JSON.parse(stdout)
    assert.deepEqual([code, said], [0, { ok: true, findings: [] }])
    assert.match(networks, /^((user-)?namespaces|none: .+)$/)
    assert.deepEqual([await cloud.layerFiles(), await cloud.machineFolders()], [[], []])
    assert.deepEqual(await world().machines(), [])
  })

  async function fieldsOf({ id }: Machine): Promise<Fields> {
    const [found] = await list(world().client, 'listVirtualMachines', 'virtualmachine', { id })
    assert.ok(found)
    return found
  }

  async function becomes({ id, name }: Machine, state: string): Promise<void> {
    await eventually(`${name} is ${state}`, async () => (await world().machine(id)).state === state)
  }

  async function lastEvent({ id }: Machine, type: string): Promise<string> {
    const [event] = await list(world().client, 'listEvents', 'event', { type, resourceid: id })
    return event?.['description'] as string
  }

  /** The file that the root disk of a stopped machine stands on. */
  async function baseOf({ id }: Machine): Promise<string> {
    for (const name of await cloud.layerFiles()) {
      const { stdout } = await run('qemu-img', [
        'info',
        '--output=json',
        '-U',
        join(cloud.dataDir, 'primary/layers', name),
      ])
      const backing = (JSON.parse(stdout) as Record<string, string>)['backing-filename']
      if (backing) return backing
    }
    throw new Error(`no layer stands on another, so ${id} has no base`)
  }
})

function pick(fields: Fields, ...names: string[]): Fields {
  return Object.fromEntries(names.map(name => [name, fields[name]]))
}

async function statusOf(pid: number): Promise<Record<string, string>> {
  const lines = (await readFile(`/proc/${pid}/status`, 'utf8')).trim().split('\n')
  return Object.fromEntries(
    lines.map(line => line.split(/:\s*/)).map(([name = '', value = '']) => [name, value.trim()]),
  )
}
