// What must not get in, and what must be told: images that cannot be templates, parameters that mean nothing, machines for
// which there is no room. After each refusal everything is as it was. Machines here have no system on their disks.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, readFile, stat, truncate } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import type { Parameters } from '@ramet/client/parameters.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { Cloud, type DeployOptions, type Fields, list, type World } from './world.ts'

const run = promisify(execFile)
const mib = 2 ** 20

/** Images that cannot be templates: how they are made, what they are said to be, what the user is told. */
const badImages: Record<string, { make: (file: string) => Promise<unknown>; format?: string; told: RegExp }> = {
  'that stands on another file': {
    make: async file => {
      await qemuImg('create', '-f', 'qcow2', `${file}.base`, '16M')
      await qemuImg('create', '-f', 'qcow2', '-b', `${file}.base`, '-F', 'qcow2', file)
    },
    told: /stands on another file; flatten it first/,
  },
  'that stands on a file of the server': {
    make: file => qemuImg('create', '-f', 'qcow2', '-u', '-b', '/etc/shadow', '-F', 'raw', file, '16M'),
    told: /stands on another file; flatten it first/,
  },
  'that keeps its data elsewhere': {
    make: file => qemuImg('create', '-f', 'qcow2', '-o', `data_file=${file}.data,data_file_raw=on`, file, '16M'),
    told: /keeps its data in another file/,
  },
  'that is raw and said to be qcow2': {
    make: file => qemuImg('create', '-f', 'raw', file, '16M'),
    told: /not qcow2 as said/,
  },
  'that is qcow2 and said to be raw': {
    make: file => qemuImg('create', '-f', 'qcow2', file, '16M'),
    format: 'RAW',
    told: /is a? ?qcow2.*not raw as said/,
  },
  'of a disk larger than allowed': {
    make: file => qemuImg('create', '-f', 'qcow2', file, '51G'),
    told: /a disk of 51 GiB, and at most 50 GiB are allowed/,
  },
  'that was cut off in its data': {
    make: async file => {
      await qemuImg('create', '-f', 'qcow2', file, '16M')
      await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 0 8M', file])
      await truncate(file, (await stat(file)).size / 2)
    },
    told: /cut off/,
  },
  'that was cut off in its tables': {
    make: async file => {
      await qemuImg('create', '-f', 'qcow2', file, '16M')
      await truncate(file, 70_000)
    },
    told: /cut off: its tables lie beyond/,
  },
  'that is empty': { make: async file => (await open(file, 'w')).close(), told: /has 0 bytes/ },
}

describe('what is refused', { timeout: 300_000 }, () => {
  let cloud: Cloud
  let web: Server
  let template: string

  before(async () => {
    cloud = await Cloud.open()
    await Promise.all(Object.values(badImages).map(({ make }, index) => make(imageFile(index))))
    await qemuImg('create', '-f', 'qcow2', join(cloud.folder, 'good.qcow2'), '16M')
    template = (await world().registerTemplate(join(cloud.folder, 'good.qcow2'), { name: 'good' })).id
    web = createServer((request, response) => {
      createReadStream(join(cloud.folder, basename(request.url ?? '')))
        .once('error', () => response.writeHead(404).end())
        .pipe(response)
    })
    await once(web.listen(0, '127.0.0.1'), 'listening')
  })
  after(async () => {
    web?.close()
    await cloud?.close()
  })

  const world = (): World => cloud.world
  const imageFile = (index: number) => join(cloud.folder, `bad-${index}`)
  const webAddress = (file: string) => `http://127.0.0.1:${(web.address() as AddressInfo).port}/${basename(file)}`
  const call = (command: string, parameters: Parameters = {}) => world().client.call(command, parameters)
  const refuses = (act: Promise<unknown>, message: RegExp, errorcode = 431) =>
    assert.rejects(act, { errorcode, message })

  describe('an image', () => {
    test('from an address of this machine, until an administrator allows it', async () => {
      const id = await register(webAddress('good.qcow2'), 'QCOW2')
      await refusedWith(id, /127\.0\.0\.1 is in a private or special network/)
      await call('updateConfiguration', { name: 'allow.register.private.address', value: true })
    })

    test('that is not at its address', async () => {
      await refusedWith(await register(webAddress('nothing'), 'QCOW2'), /404/)
      await refusedWith(await register(`file://${cloud.folder}/nothing`, 'QCOW2'), /no regular file/)
    })

    for (const [index, [name, { format = 'QCOW2', told }]] of Object.entries(badImages).entries())
      for (const scheme of ['file', 'http'] as const)
        test(`${name}, by ${scheme}`, async () => {
          const url = scheme === 'file' ? `file://${imageFile(index)}` : webAddress(imageFile(index))
          await refusedWith(await register(url, format), told)
        })

    test('with another checksum', async () => {
      const id = await register(webAddress('good.qcow2'), 'QCOW2', { checksum: `{SHA-256}${'0'.repeat(64)}` })
      await refusedWith(id, /checksum/i)
    })

    async function register(url: string, format: string, set: DeployOptions = {}): Promise<string> {
      return world().startRegister('', `bad-${randomUUID()}`, { url, format, ...set })
    }

    /** The template tells the reason, leaves no file, and nothing can be made from it. */
    async function refusedWith(id: string, told: RegExp): Promise<void> {
      const { status, isready } = await eventually('the image is judged', async () => {
        const found = await world().template(id)
        return String(found['status']).includes('%') ? null : found
      })
      assert.equal(isready, false)
      assert.match(String(status), /^Failed: /)
      assert.match(String(status), told)
      assert.deepEqual(await readdir(join(cloud.dataDir, 'secondary/templates')), [`${template}.qcow2`])
      await unchanged(() => refuses(world().deploy(id, 'never'), /^Parameter templateid names .* is not ready: /))
      await world().deleteTemplate(id)
    }
  })

  describe('a parameter', () => {
    const someId = '00000000-0000-4000-8000-000000000000'

    test('that nobody knows is ignored', async () => {
      const zones = await list(world().client, 'listZones', 'zone', { vmid: someId, nonsense: 'yes' })
      assert.equal(zones.length, 1)
    })

    test('that names nothing', async () => {
      await refuses(call('startVirtualMachine', { id: someId }), new RegExp(`^Parameter id: .*${someId}`))
      await refuses(call('queryAsyncJobResult', { jobid: someId }), /^Parameter jobid: /)
      await unchanged(() => refuses(world().deploy(someId, 'never'), /^Parameter templateid: /))
      const elsewhere = { zoneid: someId }
      await unchanged(() => refuses(world().deploy(template, 'never', 'full', elsewhere), /^Parameter zoneid: /))
      const keyless = { keypair: 'nobody' }
      await unchanged(() =>
        refuses(world().deploy(template, 'never', 'full', keyless), /^Parameter keypairs names "nobody"/),
      )
    })

    test('of another type', async () => {
      await refuses(call('listVirtualMachines', { id: '7' }), /^Parameter id must be a UUID/)
      await refuses(call('listVirtualMachines', { page: 'x', pagesize: 5 }), /^Parameter page must be a whole number/)
      await refuses(call('listEvents', { startdate: 'soon' }), /^Parameter startdate must be a date/)
      await unchanged(() => refuses(world().deploy(template, 'never', 'half'), /^Parameter clonetype must be one of/))
      const large = { userdata: Buffer.alloc(32 * 1024 + 1).toString('base64') }
      await unchanged(() => refuses(world().deploy(template, 'never', 'full', large), /^Parameter userdata /))
      await refuses(
        call('listVirtualMachines', { keyword: 'a\u0000b' }),
        /^Parameter keyword contains control characters/,
      )
      const broken = { 'details[0.cpu': 2 }
      await unchanged(() => refuses(world().deploy(template, 'never', 'full', broken), /details\[0\.cpu/, 430))
    })

    test('that a setting cannot have, or that would stop all work', async () => {
      const set = (name: string, value: string) => call('updateConfiguration', { name, value })
      await refuses(set('no.such.setting', '1'), /^Parameter name names no setting/)
      await refuses(set('kvm.create.full.clone', 'yes'), /^Parameter value .* is true or false, not "yes"/)
      await refuses(set('pool.storage.reserve.percent', '500'), /^Parameter value .* from 0 to 99, not "500"/)
      await refuses(set('default.page.size', '0'), /^Parameter value .* from 1 to /)
    })

    test('that is missing', async () => {
      const deploy = (given: Record<string, string>) => call('deployVirtualMachine', given)
      await refuses(deploy({ zoneid: world().zone }), /^Parameter templateid is missing, or vmsnapshotid is/)
      const templateid = randomUUID()
      await refuses(deploy({ templateid }), /^Parameter zoneid is missing/)
      await refuses(deploy({ templateid, zoneid: world().zone }), /^Parameter serviceofferingid is missing/)
      await refuses(call('stopVirtualMachine'), /^Parameter id is missing/)
      await refuses(call('stopVirtualMachine', { id: '' }), /^Parameter id is missing/)
    })

    test('page without pagesize, and the other way round', async () => {
      await refuses(call('listVirtualMachines', { page: 1 }), /page and pagesize must be given together/)
      await refuses(call('listVirtualMachines', { pagesize: 1 }), /page and pagesize must be given together/)
      await refuses(call('listVirtualMachines', { page: 1, pagesize: 501 }), /pagesize must be from 1 to 500/)
    })
  })

  describe('a name', () => {
    const badNames = {
      'with a slash': 'a/b',
      'of two dots': '..',
      'with a line break': 'a\nb',
      'of 10 kB': 'x'.repeat(10_240),
    }

    for (const [what, name] of Object.entries(badNames))
      test(`${what}, of a machine`, async () => {
        await unchanged(() => refuses(world().deploy(template, name, 'linked', { startvm: false }), /^Parameter name /))
      })

    for (const what of ['with a line break', 'of 10 kB'] as const)
      test(`${what}, of a template, an offering, or a key`, async () => {
        const name = badNames[what]
        await unchanged(async () => {
          await refuses(world().registerTemplate(join(cloud.folder, 'good.qcow2'), { name }), /^Parameter name /)
          await refuses(call('createServiceOffering', { name, cpunumber: 1, memory: 64 }), /^Parameter name /)
          await refuses(call('createSSHKeyPair', { name }), /^Parameter name /)
        })
      })

    test('that two calls want at once goes to one of them', async () => {
      const both = ['twin', 'TWIN'].map(name => world().deploy(template, name, 'linked', { startvm: false }))
      const [given, refused] = (await Promise.allSettled(both)).toSorted((a, b) => a.status.localeCompare(b.status))
      assert.deepEqual([given?.status, refused?.status], ['fulfilled', 'rejected'])
      assert.match(String(refused?.status === 'rejected' && refused.reason), /Parameter name is taken/)
      for (const machine of await world().machines()) await world().expunge(machine)
    })

    test('that another machine has', async () => {
      const machine = await world().deploy(template, 'taken', 'linked', { startvm: false })
      await unchanged(() => refuses(world().deploy(template, 'Taken'), /^Parameter name is taken/))
      await world().expunge(machine)
    })
  })

  test('a machine for which no host has room: it is in Error with the reason, and goes without a trace', async () => {
    const earlier = await cloud.layerFiles()
    const offering = await call('createServiceOffering', { name: 'huge', cpunumber: 1, memory: 16 * mib })
    const serviceofferingid = (offering['serviceoffering'] as Fields)['id'] as string
    await refuses(world().deploy(template, 'huge', 'linked', { serviceofferingid }), /^No room for the machine: /, 533)
    await inErrorWith('huge', /^No room for the machine: /)
    assert.deepEqual(await cloud.layerFiles(), earlier)
  })

  /** Its owner, the event log and the server's log are told why; then it is destroyed, and all of it goes. */
  async function inErrorWith(name: string, reason: RegExp): Promise<void> {
    const [machine] = await list(world().client, 'listVirtualMachines', 'virtualmachine', { name })
    assert.equal(machine?.['state'], 'Error')
    assert.match(String(machine['error']), reason)
    const id = machine['id'] as string
    const events = await list(world().client, 'listEvents', 'event', { resourceid: id, level: 'ERROR' })
    assert.match(String(events[0]?.['description']), new RegExp(`failed: ${reason.source.replace('^', '')}`))
    assert.match(await readFile(cloud.logFile, 'utf8'), new RegExp(reason.source.replace('^', '')))
    await world().client.run('destroyVirtualMachine', { id })
    assert.deepEqual(await list(world().client, 'listVirtualMachines', 'virtualmachine', { id }), [])
    assert.deepEqual(
      (await cloud.machineFolders()).filter(each => each === id),
      [],
    )
    assert.deepEqual(await list(world().client, 'listVolumes', 'volume', { virtualmachineid: id }), [])
    assert.match((await cloud.cli('doctor')).stdout, /^Database, files and processes agree\.\n/)
  }

  /** What `act` refuses has made nothing. */
  async function unchanged(act: () => Promise<unknown>): Promise<void> {
    const inventory = async () => ({
      machines: await list(world().client, 'listVirtualMachines', 'virtualmachine', { listall: true }),
      templates: (await list(world().client, 'listTemplates', 'template', { templatefilter: 'all' })).map(
        each => each['id'],
      ),
      volumes: await list(world().client, 'listVolumes', 'volume', { listall: true }),
      offerings: await list(world().client, 'listServiceOfferings', 'serviceoffering'),
      keys: await list(world().client, 'listSSHKeyPairs', 'sshkeypair'),
      jobs: (await list(world().client, 'listAsyncJobs', 'asyncjobs', { listall: true })).length,
      layers: await cloud.layerFiles(),
    })
    const earlier = await inventory()
    await act()
    assert.deepEqual(await inventory(), earlier)
  }
})

const canMount =
  process.getuid?.() === 0 &&
  (await run('losetup', ['-f']).then(
    () => true,
    () => false,
  ))

describe('a primary storage that is full', {
  skip: canMount ? false : 'only root can mount a small file system',
  timeout: 300_000,
}, () => {
  let cloud: Cloud
  let mounted: string | null = null

  before(async () => {
    cloud = await Cloud.open(async folder => {
      const pool = join(folder, 'data/primary')
      await mkdir(pool, { recursive: true })
      await (await open(join(folder, 'disk'), 'w')).close()
      await truncate(join(folder, 'disk'), 256 * mib)
      await run('mkfs.ext4', ['-q', '-m', '0', join(folder, 'disk')])
      await run('mount', ['-o', 'loop', join(folder, 'disk'), pool])
      mounted = pool
    })
  })
  after(async () => {
    if (mounted) await run('umount', ['-l', mounted])
    await cloud?.close()
  })

  test('fails a full clone with the reason, leaves nothing of it, and harms no other machine', async () => {
    const { world } = cloud
    // Bytes that compress well: the file on secondary storage is small, and each copy on primary storage is 140 MiB.
    const [plain, packed] = [join(cloud.folder, 'plain.qcow2'), join(cloud.folder, 'packed.qcow2')]
    await qemuImg('create', '-f', 'qcow2', plain, '160M')
    await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 0 140M', plain])
    await qemuImg('convert', '-c', '-O', 'qcow2', plain, packed)
    const template = await world.registerTemplate(packed)
    const other = await world.deploy(template.id, 'other', 'linked')
    const pid = await cloud.pidOf(other.id)
    const earlier = await cloud.layerFiles()

    await assert.rejects(world.deploy(template.id, 'full', 'full'), /full|no room/i)

    const [machine] = await list(world.client, 'listVirtualMachines', 'virtualmachine', { name: 'full' })
    assert.equal(machine?.['state'], 'Error')
    assert.match(String(machine['error']), /full|no room/i)
    assert.deepEqual(await cloud.layerFiles(), earlier)
    await world.client.run('destroyVirtualMachine', { id: machine['id'] as string })
    assert.deepEqual(
      (await world.machines()).map(({ name, state }) => [name, state]),
      [['other', 'Running']],
    )
    assert.equal(await cloud.pidOf(other.id), pid)
    process.kill(pid, 0)
    await world.stop(other, true)
    for (const name of earlier) await run('qemu-img', ['check', join(cloud.dataDir, 'primary/layers', name)])
    await world.expunge(other)
    await world.deleteTemplate(template.id)
    assert.deepEqual(await cloud.layerFiles(), [])
    assert.match((await cloud.cli('doctor')).stdout, /^Database, files and processes agree\.\n/)
  })
})

async function qemuImg(...words: string[]): Promise<void> {
  await run('qemu-img', words)
}
