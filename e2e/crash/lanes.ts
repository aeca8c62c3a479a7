// One lane a kind of job: how it is brought about on a real server, in which two ways it may go (through, or failing near
// its end and being undone), and how what is left is cleared away by ordinary commands.
import { writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { bootableCd } from '@ramet/server/testing/boot-cd.ts'
import { type Fields, type World, list } from '../world.ts'
import { cloneLanes } from './clone-lanes.ts'
import { forestLanes } from './forest-lanes.ts'
import { networkLanes } from './network-lanes.ts'
import { nicLanes } from './nic-lanes.ts'
import { snapshotLanes } from './snapshot-lanes.ts'
import { volumeLanes } from './volume-lanes.ts'

export interface Lane {
  readonly kind: string
  /** What is special about it, where a kind of job has several lanes. */
  readonly case?: string
  /** What it is about needs several hosts, so it is tried on simulated ones. */
  readonly simulated?: true
  /** Points of the job that this lane is about; all by default. */
  readonly points?: RegExp
  /** Tried at every point in the ordinary run too: the job that all others are like. */
  readonly isModel?: true
  /** Of the worst moments those that the ordinary run tries; all by default. */
  readonly inEveryRun?: RegExp
  /** Makes what the job needs, and returns the calls that start it and that clear up after it. */
  arrange(world: World, image: string): Promise<Attempt>
  /** Where the job is made to fail so that its undo is tried too; absent where nothing is undone. */
  readonly failAt?: string
}

export interface Attempt {
  /** Starts the job; may be cut off by the crash. */
  start(): Promise<unknown>
  /** Clears away whatever the job left, on the server that came after. */
  clear(world: World): Promise<unknown>
}

let count = 0
const name = () => `crash-${++count}`

async function template(world: World, image: string): Promise<string> {
  return (await world.registerTemplate(image, { name: name(), passwordenabled: false })).id
}

/** A machine, and how it and its template are cleared away in whatever state they are. */
async function machine(
  world: World,
  image: string,
  command: string,
  parameters: Record<string, boolean | string>,
  prepare?: (id: string) => Promise<unknown>,
): Promise<Attempt> {
  const from = await template(world, image)
  const { id } = await world.deploy(from, name())
  await prepare?.(id)
  return {
    start: () => world.client.call(command, { id, virtualmachineid: id, ...parameters }),
    clear: later => clear(later, from),
  }
}

/** Removes what was made from the template, and the template, as far as they are there. */
async function clear(world: World, templateId: string): Promise<void> {
  for (const each of await world.machines({ templateid: templateId })) await world.expunge(each)
  const { removed } = await world.template(templateId)
  if (!removed) await world.deleteTemplate(templateId)
  await world.quiet()
}

/** A running machine, and a CD that is put into its drive, or is there already and taken out. */
async function cdDrive(world: World, image: string, command: 'attachIso' | 'detachIso'): Promise<Attempt> {
  const label = name()
  const cd = `${dirname(image)}/${label}.iso`
  await writeFile(cd, bootableCd(label))
  const [from, id] = await Promise.all([template(world, image), world.registerIso(cd, label)])
  const { id: virtualmachineid } = await world.deploy(from, label)
  const attaching = { virtualmachineid, id }
  if (command === 'detachIso') await world.client.run('attachIso', attaching)
  return {
    start: () => world.client.call(command, command === 'attachIso' ? attaching : { virtualmachineid, forced: true }),
    async clear(later) {
      await later.quiet()
      await clear(later, from)
      await later.client.run('deleteIso', { id })
    },
  }
}

/** Of a pool with a running machine on it. */
async function maintenance(
  world: World,
  image: string,
  prepare: (pool: string) => Promise<unknown>,
  command: string,
): Promise<Attempt> {
  const label = name()
  const from = await template(world, image)
  await world.client.call('updateConfiguration', { name: 'vm.stop.wait', value: 0 }) // its guest is deaf
  const { id, offering } = await world.addPool(`${dirname(image)}/${label}`, label)
  await world.deploy(from, label, undefined, { serviceofferingid: offering })
  await prepare(id)
  return {
    start: () => world.client.call(command, { id }),
    async clear(later) {
      await later.quiet()
      await clear(later, from)
      if ((await later.poolState(id)) === 'Up') await later.client.run('enableStorageMaintenance', { id })
      await later.client.call('deleteStoragePool', { id })
    },
  }
}

async function account(world: World): Promise<{ id: string; owner: { account: string; domainid: string } }> {
  const username = name()
  const user = { username, password: 'crash', email: 'crash@localhost', firstname: 'Crash', lastname: 'Test' }
  const made = (await world.client.call('createAccount', { ...user, accounttype: 0 }))['account'] as Fields
  return { id: made['id'] as string, owner: { account: username, domainid: made['domainid'] as string } }
}

/** Deletes what a deletion that was cut off may have left. */
async function goes(world: World, lister: string, object: string, command: string, id: string): Promise<void> {
  await world.quiet()
  const answer = await world.client.call(lister, { id, listall: true })
  if (answer[object]) await world.client.run(command, { id })
}

/** The host that the machine runs on, or any. */
async function hostOf(world: World, vm?: string): Promise<string> {
  if (!vm) return (await list(world.client, 'listHosts', 'host'))[0]?.['id'] as string
  return (await list(world.client, 'listVirtualMachines', 'virtualmachine', { id: vm }))[0]?.['hostid'] as string
}

export const lanes: readonly Lane[] = [
  {
    kind: 'deploy-vm',
    isModel: true,
    failAt: 'publish/done/before',
    async arrange(world, image) {
      const from = await template(world, image)
      await world.deploy(from, name()) // so that the template's copy is there
      return { start: () => world.startDeploy(from, name()), clear: later => clear(later, from) }
    },
  },
  {
    kind: 'deploy-vm',
    case: 'the first of its template',
    points: /\/(cache-template|wait)\//,
    async arrange(world, image) {
      const from = await template(world, image)
      return { start: () => world.startDeploy(from, name()), clear: later => clear(later, from) }
    },
  },
  {
    kind: 'prepare-template',
    failAt: 'publish/done/before',
    async arrange(world, image) {
      const from = await template(world, image)
      return {
        start: () => world.client.call('prepareTemplate', { zoneid: world.zone, templateid: from }),
        clear: later => clear(later, from),
      }
    },
  },
  {
    kind: 'register-template',
    failAt: 'publish/done/before',
    async arrange(world, image) {
      const label = name()
      return {
        start: () => world.startRegister(image, label),
        async clear(later) {
          for (const id of await later.templatesNamed(label)) await later.deleteTemplate(id)
        },
      }
    },
  },
  ...(['create-tags', 'delete-tags'] as const).map(
    (kind): Lane => ({
      kind,
      async arrange(world) {
        const command = kind === 'create-tags' ? 'createTags' : 'deleteTags'
        const thing = { resourcetype: 'Zone', resourceids: world.zone, 'tags[0].key': name(), 'tags[0].value': 'x' }
        return { start: () => world.client.call(command, thing), clear: later => later.quiet() }
      },
    }),
  ),
  {
    kind: 'delete-account',
    async arrange(world, image) {
      const from = await template(world, image)
      const { id, owner } = await account(world)
      await world.client.call('registerSSHKeyPair', { ...owner, name: 'demo', publickey: world.key.publicKey })
      await world.deploy(from, name(), 'linked', { ...owner, startvm: false })
      return {
        start: () => world.client.call('deleteAccount', { id }),
        async clear(later) {
          await goes(later, 'listAccounts', 'account', 'deleteAccount', id)
          await clear(later, from)
        },
      }
    },
  },
  {
    kind: 'disable-account',
    async arrange(world) {
      const { id } = await account(world)
      return {
        start: () => world.client.call('disableAccount', { id }),
        clear: later => goes(later, 'listAccounts', 'account', 'deleteAccount', id),
      }
    },
  },
  {
    kind: 'delete-domain',
    async arrange(world) {
      const domain = (await world.client.call('createDomain', { name: name() }))['domain'] as Fields
      const id = domain['id'] as string
      return {
        start: () => world.client.call('deleteDomain', { id, cleanup: true }),
        clear: later => goes(later, 'listDomains', 'domain', 'deleteDomain', id),
      }
    },
  },
  {
    kind: 'delete-template',
    async arrange(world, image) {
      const from = await template(world, image)
      await world.expunge(await world.deploy(from, name())) // leaves the template's copy behind
      return { start: () => world.client.call('deleteTemplate', { id: from }), clear: later => clear(later, from) }
    },
  },
  {
    kind: 'remove-layer',
    async arrange(world, image) {
      const from = await template(world, image)
      const { id } = await world.deploy(from, name(), 'linked')
      await world.deleteTemplate(from)
      return {
        start: () => world.client.call('destroyVirtualMachine', { id, expunge: true }),
        clear: later => clear(later, from),
      }
    },
  },
  {
    kind: 'stop-vm',
    failAt: 'note-stopped/done/before',
    arrange: (world, image) => machine(world, image, 'stopVirtualMachine', { forced: true }),
  },
  {
    kind: 'start-vm',
    failAt: 'note-running/done/before',
    arrange: (world, image) => machine(world, image, 'startVirtualMachine', {}, id => world.stop({ id }, true)),
  },
  {
    kind: 'reboot-vm',
    failAt: 'note-running/done/before',
    arrange: (world, image) => machine(world, image, 'rebootVirtualMachine', { forced: true }),
  },
  {
    kind: 'destroy-vm',
    failAt: 'set-aside/done/before',
    arrange: (world, image) => machine(world, image, 'destroyVirtualMachine', { forced: true }),
  },
  {
    kind: 'restore-vm',
    failAt: 'finish/done/before',
    points: /^(?!.*\/cache-template\/)/,
    arrange: (world, image) =>
      // The image holds no system that would shut down.
      machine(world, image, 'restoreVirtualMachine', { expunge: true }, () =>
        world.client.call('updateConfiguration', { name: 'vm.stop.wait', value: 0 }),
      ),
  },
  {
    kind: 'restore-vm',
    case: 'from a template that is not on the pool',
    points: /\/cache-template\/started\//,
    async arrange(world, image) {
      const [from, other] = [await template(world, image), await template(world, image)]
      const { id } = await world.deploy(from, name(), 'linked', { startvm: false })
      return {
        start: () =>
          world.client.call('restoreVirtualMachine', { virtualmachineid: id, templateid: other, expunge: true }),
        async clear(later) {
          await later.expunge({ id })
          await clear(later, from)
          await clear(later, other)
        },
      }
    },
  },
  {
    kind: 'change-vm',
    arrange: (world, image) =>
      machine(world, image, 'resetSSHKeyForVirtualMachine', { keypair: 'demo' }, id => world.stop({ id }, true)),
  },
  {
    kind: 'change-affinity-group',
    async arrange(world) {
      const label = name()
      return {
        start: () => world.client.call('createAffinityGroup', { name: label, type: 'host anti-affinity' }),
        async clear(later) {
          const found = await list(later.client, 'listAffinityGroups', 'affinitygroup', { name: label })
          for (const { id } of found) await later.client.run('deleteAffinityGroup', { id: id as string })
        },
      }
    },
  },
  {
    kind: 'migrate-vm',
    simulated: true,
    failAt: 'note-moved/done/before',
    async arrange(world, image) {
      const from = await template(world, image)
      const { id } = await world.deploy(from, name())
      return {
        start: () => world.client.call('migrateVirtualMachine', { virtualmachineid: id, autoselect: true }),
        clear: later => clear(later, from),
      }
    },
  },
  {
    kind: 'empty-host',
    simulated: true,
    failAt: 'enter/done/before',
    async arrange(world, image) {
      const from = await template(world, image)
      const host = await hostOf(world, (await world.deploy(from, name())).id)
      return {
        start: () => world.client.call('prepareHostForMaintenance', { id: host }),
        async clear(later) {
          await later.client.run('cancelHostMaintenance', { id: host })
          await clear(later, from)
        },
      }
    },
  },
  {
    kind: 'reopen-host',
    simulated: true,
    async arrange(world) {
      const host = await hostOf(world)
      await world.client.run('prepareHostForMaintenance', { id: host })
      return {
        start: () => world.client.call('cancelHostMaintenance', { id: host }),
        clear: later => later.client.run('cancelHostMaintenance', { id: host }),
      }
    },
  },
  {
    kind: 'reconnect-host',
    simulated: true,
    async arrange(world) {
      const host = await hostOf(world)
      return { start: () => world.client.call('reconnectHost', { id: host }), clear: async () => {} }
    },
  },
  { kind: 'expunge-vm', arrange: (world, image) => machine(world, image, 'destroyVirtualMachine', { expunge: true }) },
  {
    kind: 'maintain-pool',
    failAt: 'enter/done/before',
    arrange: (world, image) => maintenance(world, image, async () => {}, 'enableStorageMaintenance'),
  },
  {
    kind: 'reopen-pool',
    failAt: 'open/done/before',
    arrange: (world, image) =>
      maintenance(world, image, id => world.client.run('enableStorageMaintenance', { id }), 'cancelStorageMaintenance'),
  },
  {
    kind: 'extract-template',
    async arrange(world, image) {
      const from = await template(world, image)
      return {
        start: () => world.client.call('extractTemplate', { id: from, mode: 'HTTP_DOWNLOAD' }),
        clear: later => clear(later, from),
      }
    },
  },
  {
    kind: 'attach-iso',
    failAt: 'note/done/before',
    arrange: (world, image) => cdDrive(world, image, 'attachIso'),
  },
  {
    kind: 'detach-iso',
    failAt: 'note/done/before',
    arrange: (world, image) => cdDrive(world, image, 'detachIso'),
  },
  ...forestLanes,
  ...networkLanes,
  ...nicLanes,
  ...volumeLanes,
  ...snapshotLanes,
  ...cloneLanes,
]
