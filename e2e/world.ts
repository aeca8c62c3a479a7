// A server seen by someone who uses it: templates, machines and logins, in a user's words. The demo, the journeys and the
// benchmarks share it; everything goes through the API, and into guests by SSH.
import { aFreePort } from '@ramet/server/drivers/contract-networks.ts'
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Client } from '@ramet/client/client.ts'
import { ramDirectory } from '@ramet/server/drivers/qemu/machines/machine-folder.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { awaitSsh, type KeyPair, makeKeyPair, ssh } from './ssh.ts'

export interface Machine {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly cloneType: string
  readonly chainDepth: number
  readonly sshAddress: string
  readonly exclusiveBytes: number
  readonly sharedBytes: number
  readonly password: string | undefined
  /** Its guest was made somebody of its own, and what is missing until then. */
  readonly customized: boolean
  readonly identityProblems: readonly string[]
  /** From the call to the end of its job. */
  readonly deployMs: number
}

export interface DeployOptions {
  readonly [parameter: string]: string | number | boolean
}

export type Fields = Record<string, unknown>

export class World {
  readonly client: Client
  readonly zone: string
  readonly offering: string
  readonly key: KeyPair

  private constructor(client: Client, zone: string, offering: string, key: KeyPair) {
    this.client = client
    this.zone = zone
    this.offering = offering
    this.key = key
  }
  static async open(client: Client): Promise<World> {
    const [zone] = await list(client, 'listZones', 'zone')
    const [offering] = await list(client, 'listServiceOfferings', 'serviceoffering', { name: 'Tiny Instance' })
    const key = await makeKeyPair()
    process.once('exit', () => rmSync(dirname(key.file), { recursive: true, force: true }))
    await client.call('registerSSHKeyPair', { name: 'demo', publickey: key.publicKey })
    return new World(client, zone?.['id'] as string, offering?.['id'] as string, key)
  }

  /** The same, asking a server that came after. */
  at(client: Client): World {
    return new World(client, this.zone, this.offering, this.key)
  }

  async acceleration(): Promise<string> {
    const [host] = await list(this.client, 'listHosts', 'host')
    return (host?.['details'] as Fields | undefined)?.['acceleration'] as string
  }

  /** A network of machines that reach each other; null where this host can have none. */
  async makeNetwork(name: string, set: DeployOptions = {}): Promise<string | null> {
    const [host] = await list(this.client, 'listHosts', 'host')
    const kind = (host?.['details'] as Fields | undefined)?.['networks'] as string
    if (kind.startsWith('none')) return null
    const wanted = { name: 'DefaultIsolatedNetworkOffering' }
    const [offering] = await list(this.client, 'listNetworkOfferings', 'networkoffering', wanted)
    const asked = { name, zoneid: this.zone, networkofferingid: offering?.['id'] as string, ...set }
    return ((await this.client.call('createNetwork', asked))['network'] as Fields)['id'] as string
  }

  /** A port of this host that leads to a port of the machine. */
  async forward({ id }: Pick<Machine, 'id'>, networkid: string, privateport: number): Promise<number> {
    const known = await list(this.client, 'listPublicIpAddresses', 'publicipaddress', {
      associatednetworkid: networkid,
    })
    const ip = known[0] ?? ((await this.client.run('associateIpAddress', { networkid }))['ipaddress'] as Fields)
    const publicport = await aFreePort()
    const rule = { ipaddressid: ip['id'] as string, virtualmachineid: id, protocol: 'tcp', publicport, privateport }
    await this.client.run('createPortForwardingRule', rule)
    return publicport
  }

  async registerTemplate(file: string, set: DeployOptions = {}): Promise<{ id: string; bytes: number }> {
    const id = await this.startRegister(file, 'tiny', set)
    const ready = await eventually('the template is ready', async () => {
      const template = await this.template(id)
      if (String(template['status']).startsWith('Failed')) throw new Error(String(template['status']))
      return template['isready'] ? template : null
    })
    return { id, bytes: ready['physicalsize'] as number }
  }

  async startRegister(file: string, name: string, set: DeployOptions = {}): Promise<string> {
    await this.client.call('updateConfiguration', { name: 'allow.register.local.path', value: true })
    const answer = await this.client.call('registerTemplate', {
      name,
      displaytext: 'A small Linux with SSH and a guest agent',
      format: 'QCOW2',
      hypervisor: 'Any',
      zoneid: this.zone,
      url: `file://${file}`,
      ispublic: true,
      passwordenabled: true,
      ...set,
    })
    return (answer['template'] as Fields[])[0]?.['id'] as string
  }

  /** An ISO from a file of this machine, once it is ready. */
  async registerIso(file: string, name: string, set: DeployOptions = {}): Promise<string> {
    await this.client.call('updateConfiguration', { name: 'allow.register.local.path', value: true })
    const given = { name, displaytext: name, zoneid: this.zone, url: `file://${file}`, ispublic: true, ...set }
    const answer = await this.client.call('registerIso', given)
    const id = (answer['iso'] as Fields[])[0]?.['id'] as string
    await eventually('the ISO is ready', async () => {
      const [iso] = await list(this.client, 'listIsos', 'iso', { isofilter: 'all', id })
      if (String(iso?.['status']).startsWith('Failed')) throw new Error(String(iso?.['status']))
      return iso?.['isready'] || null
    })
    return id
  }

  async template(id: string): Promise<Fields> {
    const [template] = await list(this.client, 'listTemplates', 'template', {
      templatefilter: 'all',
      id,
      showremoved: true,
    })
    if (!template) throw new Error(`there is no template ${id}`)
    return template
  }

  async templatesNamed(name: string): Promise<string[]> {
    const found = await list(this.client, 'listTemplates', 'template', { templatefilter: 'all', name })
    return found.map(each => each['id'] as string)
  }

  /** Waits until its copies on primary storage are gone too, which nothing may stand on any more. */
  async deleteTemplate(id: string): Promise<void> {
    await this.client.run('deleteTemplate', { id })
    await this.quiet()
  }

  async deploy(template: string, name: string, cloneType?: string, set: DeployOptions = {}): Promise<Machine> {
    const begin = performance.now()
    const result = await this.client.run('deployVirtualMachine', this.#deployment(template, name, cloneType, set))
    return machineOf(result['virtualmachine'] as Fields, Math.round(performance.now() - begin))
  }

  async deployFromSnapshot(vmsnapshotid: string, name: string, set: DeployOptions = {}): Promise<Machine> {
    const begin = performance.now()
    const asked = { vmsnapshotid, name, keypair: 'demo', ...set }
    const result = await this.client.run('deployVirtualMachine', asked)
    return machineOf(result['virtualmachine'] as Fields, Math.round(performance.now() - begin))
  }

  /** Asks for a machine without waiting for it: the ids of the machine and its job. */
  startDeploy(template: string, name: string, cloneType?: string, set: DeployOptions = {}): Promise<Fields> {
    return this.client.call('deployVirtualMachine', this.#deployment(template, name, cloneType, set))
  }

  #deployment(template: string, name: string, cloneType: string | undefined, set: DeployOptions): DeployOptions {
    return {
      zoneid: this.zone,
      serviceofferingid: this.offering,
      templateid: template,
      name,
      keypair: 'demo',
      ...(cloneType && { clonetype: cloneType }),
      ...set,
    }
  }

  /** A second primary storage, and an offering whose machines go there. */
  async addPool(folder: string, name: string): Promise<{ id: string; offering: string }> {
    const [cluster] = await list(this.client, 'listClusters', 'cluster')
    const place = { zoneid: this.zone, clusterid: cluster?.['id'] as string }
    const pool = await this.client.call('createStoragePool', { ...place, name, url: `file://${folder}`, tags: name })
    const size = { cpunumber: 1, memory: 256 }
    const offering = await this.client.call('createServiceOffering', { name, displaytext: name, ...size, tags: name })
    return {
      id: (pool['storagepool'] as Fields)['id'] as string,
      offering: (offering['serviceoffering'] as Fields)['id'] as string,
    }
  }

  async poolState(id: string): Promise<string> {
    const [pool] = await list(this.client, 'listStoragePools', 'storagepool', { id })
    return pool?.['state'] as string
  }

  async machine(id: string): Promise<Machine> {
    const [found] = await list(this.client, 'listVirtualMachines', 'virtualmachine', { id })
    if (!found) throw new Error(`there is no machine ${id}`)
    return machineOf(found, 0)
  }

  async machines(filter: DeployOptions = {}): Promise<Machine[]> {
    const found = await list(this.client, 'listVirtualMachines', 'virtualmachine', { listall: true, ...filter })
    return found.map(each => machineOf(each, 0))
  }

  async stop({ id }: Pick<Machine, 'id'>, forced = false): Promise<Machine> {
    return this.#moved(await this.client.run('stopVirtualMachine', { id, forced }))
  }

  async start({ id }: Pick<Machine, 'id'>): Promise<Machine> {
    return this.#moved(await this.client.run('startVirtualMachine', { id }))
  }

  async reboot({ id }: Pick<Machine, 'id'>): Promise<Machine> {
    return this.#moved(await this.client.run('rebootVirtualMachine', { id }))
  }

  /** Instant clones of a machine, all of one instant; they run when this fulfils. */
  async fork({ id }: Pick<Machine, 'id'>, name: string, count: number): Promise<Machine[]> {
    const asked = { virtualmachineid: id, clonetype: 'instant', name, count }
    const { virtualmachine } = await this.client.run('cloneVirtualMachine', asked)
    return [virtualmachine].flat().map(each => machineOf(each as Fields, 0))
  }

  /** Waits until the guests of these clones are somebody of their own, and tells when each was found to be. */
  async awaitCustomized(clones: readonly Pick<Machine, 'id'>[], seconds = 120): Promise<Map<string, number>> {
    const seen = new Map<string, number>()
    await eventually(
      'all clones are customized',
      async () => {
        for (const { id, customized } of await this.machines({ ids: clones.map(each => each.id).join() }))
          if (customized && !seen.has(id)) seen.set(id, performance.now())
        return seen.size === clones.length
      },
      seconds,
    )
    return seen
  }

  async takeSnapshot({ id }: Pick<Machine, 'id'>, snapshotName: string, snapshotmemory: boolean): Promise<Fields> {
    const asked = { virtualmachineid: id, name: snapshotName, snapshotmemory }
    return (await this.client.run('createVMSnapshot', asked))['vmsnapshot'] as Fields
  }

  /** With memory it runs afterwards, without it is Stopped. */
  async revert(vmsnapshotid: string): Promise<Machine> {
    return this.#moved(await this.client.run('revertToVMSnapshot', { vmsnapshotid }))
  }

  /** Waits until what that frees is merged and gone. */
  async deleteSnapshot(vmsnapshotid: string): Promise<void> {
    await this.client.run('deleteVMSnapshot', { vmsnapshotid })
    await this.quiet()
  }

  async expunge({ id }: Pick<Machine, 'id'>): Promise<void> {
    await this.client.run('destroyVirtualMachine', { id, expunge: true })
  }

  /** Waits until no job is left. */
  async quiet(): Promise<void> {
    await eventually('all jobs end', async () => {
      const jobs = await list(this.client, 'listAsyncJobs', 'asyncjobs', { listall: true })
      return jobs.every(job => job['jobstatus'] !== 0)
    })
  }

  ssh({ sshAddress }: Pick<Machine, 'sshAddress'>, command: string): Promise<string> {
    return ssh(sshAddress, this.key, command)
  }

  /** Has the machine answer web requests with its name. */
  async serveName(machine: Pick<Machine, 'sshAddress'>): Promise<void> {
    await this.ssh(machine, 'mkdir -p /tmp/web && hostname > /tmp/web/index.html && busybox httpd -p 80 -h /tmp/web')
  }

  async awaitSsh({ sshAddress }: Pick<Machine, 'sshAddress'>): Promise<void> {
    await awaitSsh(sshAddress, this.key)
  }

  #moved(result: Fields): Machine {
    return machineOf(result['virtualmachine'] as Fields, 0)
  }
}

function machineOf(fields: Fields, deployMs: number): Machine {
  return {
    id: fields['id'] as string,
    name: fields['name'] as string,
    state: fields['state'] as string,
    cloneType: fields['clonetype'] as string,
    chainDepth: (fields['chaindepth'] as number | undefined) ?? 0,
    sshAddress: (fields['sshaddress'] as string | undefined) ?? '',
    exclusiveBytes: (fields['exclusivebytes'] as number | undefined) ?? 0,
    sharedBytes: (fields['sharedbytes'] as number | undefined) ?? 0,
    password: fields['password'] as string | undefined,
    customized: fields['customized'] === true,
    identityProblems: (fields['identityproblems'] as string[] | undefined) ?? [],
    deployMs,
  }
}

export async function list(
  client: Client,
  command: string,
  object: string,
  parameters: DeployOptions = {},
): Promise<Fields[]> {
  return ((await client.call(command, parameters))[object] ?? []) as Fields[]
}

/** A server on a folder of its own, for the time of a journey; at its end nothing of it is left. */
export class Cloud {
  readonly folder: string
  server: ServerProcess
  world: World

  private constructor(folder: string, server: ServerProcess, world: World) {
    this.folder = folder
    this.server = server
    this.world = world
  }

  /** `prepare` finds the folder before the first start. */
  static async open(prepare: (folder: string) => Promise<void> = async () => {}): Promise<Cloud> {
    const folder = await mkdtemp(join(tmpdir(), 'ramet-e2e-'))
    await chmod(folder, 0o711) // machines run as users of their own and pass through
    try {
      await prepare(folder)
      const server = await startServer(join(folder, 'data'))
      return new Cloud(folder, server, await World.open(server.client))
    } catch (error) {
      await rm(folder, { recursive: true, force: true }).catch(() => {}) // something may be mounted there
      throw error
    }
  }

  get dataDir(): string {
    return join(this.folder, 'data')
  }

  get logFile(): string {
    return `${this.dataDir}.log`
  }

  /** Ends the server by `signal` and starts the next one on the same data. */
  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.server.end(signal)
    this.server = await startServer(this.dataDir)
    this.world = this.world.at(this.server.client)
  }

  /** The files of the primary storage. */
  async layerFiles(): Promise<string[]> {
    return (await readdir(join(this.dataDir, 'primary/layers'))).toSorted()
  }

  /** Ids of machines that have a folder. */
  machineFolders(): Promise<string[]> {
    return readdir(join(this.dataDir, 'vms'))
  }

  /** The process of a machine that runs. */
  async pidOf(machine: string): Promise<number> {
    return (JSON.parse(await readFile(join(this.dataDir, 'vms', machine, 'machine.json'), 'utf8')) as { pid: number })
      .pid
  }

  /** `./ramet WORDS --data-dir …`, without the set-up. */
  cli(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const main = join(import.meta.dirname, '../packages/cli/main.ts')
    return new Promise(resolve => {
      execFile(process.execPath, [main, ...words, '--data-dir', this.dataDir], (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      )
    })
  }

  async close(): Promise<void> {
    await this.server.end('SIGTERM')
    for (const machine of await this.machineFolders()) await this.#endMachine(machine)
    for (const folder of [this.folder, ramDirectory(join(this.dataDir, 'vms'))])
      await rm(folder, { recursive: true, force: true })
  }

  /** What a journey that failed half way has left running. */
  async #endMachine(machine: string): Promise<void> {
    const pid = await this.pidOf(machine).catch(() => null)
    if (pid === null) return
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (words.includes(this.dataDir)) process.kill(pid, 'SIGKILL')
  }
}
