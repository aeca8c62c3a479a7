// A whole server over a simulated hypervisor and a real database, for tests: start it, ask it, break it, start it again.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AccountId, type DomainId, type NetworkId, newId, type TemplateId, type VmId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import { build, type Parts, type Server } from '../build.ts'
import type { Config } from '../config.ts'
import { simulatorOf } from '../drivers/simulated/simulator.ts'
import { newWorld, type World } from '../drivers/simulated/world.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { silentLog } from '../log.ts'
import type { Row } from '../store/tables.ts'
import { insertVm } from '../store/new-vm.ts'
import { emptyDatabase } from './database.ts'
import { eventually } from './eventually.ts'

export interface Lab {
  readonly world: World
  readonly app: App
  readonly directory: string
  /** Closes the server and builds another over the same database, files and hypervisor. */
  restart(parts?: LabParts): Promise<void>
  close(): Promise<void>
}

type LabParts = Omit<Parts, 'simulator'>

export async function simulatedLab({ hosts = 1, ...parts }: { hosts?: number } & LabParts = {}): Promise<Lab> {
  const directory = await mkdtemp(join(tmpdir(), 'ramet-lab-'))
  const world = newWorld()
  const config = await labConfig(directory, hosts)
  const start = (more?: LabParts) => build(config, silentLog, { simulator: simulatorOf(world), ...parts, ...more })
  let server: Server = await start()
  return {
    world,
    directory,
    get app() {
      return server.app
    },
    async restart(more) {
      await server.close()
      server = await start(more)
    },
    async close() {
      await server.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function labConfig(directory: string, hosts: number): Promise<Config> {
  return {
    dataDir: directory,
    listen: { host: '127.0.0.1', port: 0 },
    databaseUrl: await emptyDatabase(),
    acceleration: 'tcg',
    uidBase: 1_900_000_000,
    logLevel: 'silent',
    simulate: hosts,
  }
}

/** Starts a job as the administrator and waits until it has ended or is stuck. */
export async function run<I>(lab: Lab, definition: JobDefinition<I>, input: I): Promise<Row<'job'>> {
  const users = lab.app.db.selectFrom('user').selectAll().orderBy('created')
  const { id: user, account_id: account } = await users.executeTakeFirstOrThrow()
  const id = await lab.app.jobs.start(lab.app.db, definition, input, { command: 'test', account, user })
  return ended(lab, id)
}

export async function ended(lab: Lab, id: Row<'job'>['id']): Promise<Row<'job'>> {
  return eventually(`job ${id} ends`, async () => {
    const job = await lab.app.db.selectFrom('job').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    return job.completed || job.state === 'stuck' ? job : null
  })
}

/** Waits until no job is left to do. */
export async function quiet(lab: Lab): Promise<void> {
  await eventually('all jobs end', async () => {
    const open = await lab.app.db
      .selectFrom('job')
      .select('id')
      .where('completed', 'is', null)
      .where('state', '!=', 'stuck')
      .executeTakeFirst()
    return open ? null : true
  })
}

/** A template that is ready, its file on secondary storage. */
export async function aTemplate(lab: Lab, set: Partial<Row<'template'>> = {}): Promise<TemplateId> {
  const { db } = lab.app
  const id = newId<'template'>()
  const zone = await db.selectFrom('zone').select('id').executeTakeFirstOrThrow()
  const store = await db.selectFrom('image_store').selectAll().executeTakeFirstOrThrow()
  const { id: account } = await db.selectFrom('account').select('id').orderBy('number').executeTakeFirstOrThrow()
  await writeFile(join(store.path, `${id}.qcow2`), 'an image')
  await db
    .insertInto('template')
    .values({
      id,
      account_id: account,
      zone_id: zone.id,
      name: `template-${id.slice(0, 8)}`,
      display_text: 'a template',
      format: 'QCOW2',
      hypervisor: 'Simulator',
      url: 'http://127.0.0.1/image.qcow2',
      state: 'Active',
      download_state: 'DOWNLOADED',
      image_store_id: store.id,
      install_path: `${id}.qcow2`,
      virtual_bytes: 2 ** 30,
      physical_bytes: 64 * 2 ** 20,
      is_public: true,
      is_featured: false,
      is_extractable: false,
      password_enabled: false,
      ssh_key_enabled: true,
      ...set,
    })
    .execute()
  return id
}

/** A domain right below ROOT, or below another. */
export async function aDomain(lab: Lab, name: string, above?: DomainId): Promise<DomainId> {
  const { db } = lab.app
  let parents = db.selectFrom('domain').selectAll()
  parents = above ? parents.where('id', '=', above) : parents.where('level', '=', 0)
  const parent = await parents.executeTakeFirstOrThrow()
  const id = newId<'domain'>()
  const path = `${parent.path === '/' ? '' : parent.path}/${name}`
  await db
    .insertInto('domain')
    .values({ id, name, path, level: parent.level + 1, parent_id: parent.id })
    .execute()
  return id
}

/** An account with one user, who has no password. */
export async function anAccount(lab: Lab, domain: DomainId, type: Row<'account'>['type'] = 'User') {
  const { db } = lab.app
  const [account, user] = [newId<'account'>(), newId<'user'>()]
  await db.insertInto('account').values({ id: account, domain_id: domain, name: account, type }).execute()
  await db
    .insertInto('user')
    .values({
      id: user,
      account_id: account,
      username: user,
      password_hash: '',
      firstname: 'A',
      lastname: 'B',
      email: 'c',
    })
    .execute()
  return { account, user }
}

/** A network of machines that reach each other. */
export async function aNetwork(lab: Lab, set: Partial<Row<'network'>> = {}): Promise<NetworkId> {
  const { db } = lab.app
  const id = newId<'network'>()
  const like = await db.selectFrom('network').selectAll().orderBy('created').executeTakeFirstOrThrow()
  const offerings = db.selectFrom('network_offering').select('id').where('name', '=', 'DefaultIsolatedNetworkOffering')
  const { id: network_offering_id } = await offerings.executeTakeFirstOrThrow()
  const addresses = { cidr: '10.1.1.0/24', gateway: '10.1.1.1', start_ip: '10.1.1.2', end_ip: '10.1.1.254' }
  const own = { id, network_offering_id, name: id, domain_id: null, created: new Date() }
  await db
    .insertInto('network')
    .values({ ...like, ...own, ...addresses, ...set })
    .execute()
  return id
}

/** An ISO that is ready. */
export async function anIso(lab: Lab, set: Partial<Row<'template'>> = {}): Promise<TemplateId> {
  return aTemplate(lab, { format: 'ISO', ...set })
}

/** The record of a machine, and what its deployment is asked. */
export async function aDeployment(lab: Lab, template: TemplateId, owner?: AccountId) {
  const { db } = lab.app
  const user = await db.selectFrom('user').selectAll().orderBy('created').executeTakeFirstOrThrow()
  const account = await db
    .selectFrom('account')
    .selectAll()
    .where('id', '=', owner ?? user.account_id)
    .executeTakeFirstOrThrow()
  const zone = await db.selectFrom('zone').select('id').executeTakeFirstOrThrow()
  const offering = await db.selectFrom('service_offering').selectAll().orderBy('sort_key').executeTakeFirstOrThrow()
  const network = await db.selectFrom('network').selectAll().orderBy('created').executeTakeFirstOrThrow()
  const [vm, volume, layer] = [newId<'vm'>(), newId<'volume'>(), newId<'layer'>()]
  await db.transaction().execute(tx =>
    insertVm(tx, {
      vm: {
        id: vm,
        user_id: user.id,
        zone_id: zone.id,
        template_id: template,
        service_offering_id: offering.id,
        hypervisor: 'Simulator',
        cpus: offering.cpus ?? 1,
        cpu_mhz: offering.cpu_mhz ?? 1000,
        memory_mib: offering.memory_mib ?? 256,
      },
      account,
      name: undefined,
      displayName: undefined,
      instanceSuffix: 'VM',
      nics: [{ network }],
      keys: [],
      volumes: [{ id: volume, type: 'ROOT', sizeBytes: 2 ** 30, diskOffering: null }],
    }),
  )
  return { vm, template, disks: [{ volume, layer }], start: true, withPassword: false, cloneType: null } as const
}

export async function stateOf(lab: Lab, vm: VmId): Promise<string> {
  const row = await lab.app.db
    .selectFrom('vm')
    .select(['state', 'removed'])
    .where('id', '=', vm)
    .executeTakeFirstOrThrow()
  return row.removed ? 'removed' : row.state
}

/** Everything that lasts, in the database and on the hypervisor, without times and without jobs and events. */
export async function inventory(lab: Lab) {
  const { db } = lab.app
  const [
    vms,
    volumes,
    layers,
    copies,
    templates,
    clones,
    sources,
    keys,
    groups,
    vmSnapshots,
    memories,
    snapshots,
    seeds,
  ] = await Promise.all([
    db
      .selectFrom('vm')
      .select(['id', 'state', 'host_id', 'template_id', 'service_offering_id', 'cpus', 'memory_mib'])
      .select(['password_hash', 'seed_version', 'generation_id', 'iso_id'])
      .select(['is_instant', 'is_frozen', 'fork_id', 'memory_image_id', 'memory_counted_mib'])
      .where('removed', 'is', null)
      .orderBy('id')
      .execute(),
    db
      .selectFrom('volume')
      .select(['id', 'state', 'layer_id', 'pool_id', 'vm_id'])
      .where('removed', 'is', null)
      .orderBy('id')
      .execute(),
    db.selectFrom('layer').select(['id', 'state', 'parent_id']).orderBy('id').execute(),
    db
      .selectFrom('template_spool_ref')
      .select(['template_id', 'state', 'layer_id', 'marked_for_gc'])
      .where('state', '!=', 'Allocated')
      .orderBy('template_id')
      .execute(),
    db
      .selectFrom('template')
      .select(['id', 'state', 'download_state'])
      .where('removed', 'is', null)
      .orderBy('id')
      .execute(),
    db.selectFrom('user_vm_clone_setting').select(['vm_id', 'clone_type']).orderBy('vm_id').execute(),
    db.selectFrom('clone_source').selectAll().orderBy('vm_id').orderBy('source_id').execute(),
    db.selectFrom('vm_ssh_key_pair').selectAll().orderBy('vm_id').orderBy('name').execute(),
    db.selectFrom('affinity_group').select('id').orderBy('id').execute(),
    db
      .selectFrom('vm_snapshot')
      .select(['id', 'vm_id', 'state', 'parent_id', 'is_current'])
      .where('removed', 'is', null)
      .orderBy('id')
      .execute(),
    db.selectFrom('memory_image').select(['id', 'state']).orderBy('id').execute(),
    db.selectFrom('snapshot').select(['id', 'volume_id', 'state']).where('removed', 'is', null).orderBy('id').execute(),
    db.selectFrom('vmsnapshot_spool_ref').select(['id', 'vm_snapshot_id', 'state']).orderBy('id').execute(),
  ])
  const forks = await db
    .selectFrom('fork')
    .leftJoin('fork_disk as disk', 'disk.fork_id', 'fork.id')
    .select(['fork.id', 'fork.vm_id', 'fork.state', 'fork.is_frozen', 'disk.layer_id'])
    .orderBy('fork.id')
    .orderBy('disk.layer_id')
    .execute()
  const networks = await db.selectFrom('network').selectAll().orderBy('id').execute()
  const segments = [...lab.world.networks.values()].map(({ spec }) => spec).toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const publicIps = await db.selectFrom('public_ip').select(['id', 'state']).orderBy('id').execute()
  const rules = await db
    .selectFrom('port_forwarding_rule')
    .select(['id', 'public_port', 'nic_id', 'private_port', 'state'])
    .orderBy('id')
    .execute()
  const forwards = [...lab.world.forwards.keys()].toSorted()
  const nics = await db
    .selectFrom('nic')
    .select(['id', 'vm_id', 'network_id', 'device_id', 'ip_address', 'is_default'])
    .orderBy('id')
    .execute()
  const running = [...lab.world.machines.values()].filter(({ power }) => power === 'on')
  const cards = running.flatMap(machine => Object.values(machine.nics ?? {})).toSorted()
  const hosts = await db.selectFrom('host').select(['id', 'state', 'resource_state']).orderBy('id').execute()
  const files = [...lab.world.layers.keys()].toSorted()
  const own = [...lab.world.machines].map(([vm, { power, cd }]) => `${vm} ${power} ${cd ?? ''}`)
  const kept = [...lab.world.kept.values()].map(
    each =>
      `${Object.values(each.as ?? {}).join()} ${each.power} ${each.foreign} ${each.disks.map(disk => disk.deviceId).join()} ${each.networks.join()}`,
  )
  const machines = [...own, ...kept].toSorted()
  const memoryFiles = [...lab.world.memory.keys()].toSorted()
  const recorded = { vms, volumes, layers, copies, templates, clones, sources, keys, groups, hosts }
  const reached = { networks, segments, nics, cards, publicIps, rules, forwards }
  return { ...recorded, ...reached, forks, vmSnapshots, memories, snapshots, seeds, memoryFiles, files, machines }
}
