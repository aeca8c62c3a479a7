// What every job promises, tried on each: when a step fails nothing is left half done, and every step and undo may run
// twice. The scenarios say how each job is brought about and what its failure must leave.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type AccountId, type HostId, newId, type StoragePoolId, type VmId } from '@ramet/core/ids.ts'
import type { PoolState } from '@ramet/core/pool.ts'
import type { HostResourceState } from '@ramet/core/host.ts'
import { hostOfVm } from '../store/hosts.ts'
import { stopTestDatabase } from '../testing/database.ts'
import {
  aDeployment,
  aDomain,
  anAccount,
  anIso,
  aTemplate,
  inventory,
  type Lab,
  quiet,
  run,
  simulatedLab,
  stateOf,
} from '../testing/lab.ts'
import type { JobDefinition, Step } from './define-job.ts'
import { definitions } from './definitions.ts'
import { changeAffinityGroup } from './change-affinity-group.ts'
import { changeVm, type VmChange } from './change-vm.ts'
import { deleteAccount } from './delete-account.ts'
import { deleteDomain } from './delete-domain.ts'
import { attachIso, detachIso } from './change-iso.ts'
import { deleteTemplate } from './delete-template.ts'
import { type DeployVm, deployVm } from './deploy-vm.ts'
import { destroyVm } from './destroy-vm.ts'
import { disableAccount } from './disable-account.ts'
import { emptyHost } from './empty-host.ts'
import { expungeVm } from './expunge-vm.ts'
import { extractTemplate } from './extract-template.ts'
import { maintainPool } from './maintain-pool.ts'
import { migrateVm } from './migrate-vm.ts'
import { prepareTemplate } from './prepare-template.ts'
import { rebootVm } from './reboot-vm.ts'
import { reconnectHost } from './reconnect-host.ts'
import { registerTemplate } from './register-template.ts'
import { removeLayer } from './remove-layer.ts'
import { reopenHost } from './reopen-host.ts'
import { reopenPool } from './reopen-pool.ts'
import { type RestoreVm, restoreVm } from './restore-vm.ts'
import { scenario, type Scenario } from './scenario.ts'
import { startVm } from './start-vm.ts'
import { stopVm } from './stop-vm.ts'
import { createTags, deleteTags } from './tags.ts'
import { cloneScenarios } from './clone-scenarios.ts'
import { forestDeviceScenarios } from './forest-device-scenarios.ts'
import { forestScenarios } from './forest-scenarios.ts'
import { snapshotScenarios, without } from './snapshot-scenarios.ts'
import { aForward, networkScenarios } from './network-scenarios.ts'
import { nicScenarios } from './nic-scenarios.ts'
import { volumeScenarios } from './volume-scenarios.ts'
import { swept } from '../testing/clones.ts'
import { watchLayers } from '../watch/layers.ts'

async function aRunningVm(lab: Lab): Promise<{ vm: VmId }> {
  const input = await aDeployment(lab, await aTemplate(lab))
  const job = await run(lab, deployVm, input)
  assert.equal(job.state, 'done', job.problem?.message)
  return { vm: input.vm }
}

async function aStoppedVm(lab: Lab): Promise<{ vm: VmId }> {
  const { vm } = await aRunningVm(lab)
  await run(lab, stopVm, { vm, forced: true })
  return { vm }
}

async function aReachedVm(lab: Lab): Promise<{ vm: VmId }> {
  const { vm } = await aStoppedVm(lab)
  await aForward(lab, vm)
  return { vm }
}

async function aVmWithIso(lab: Lab): Promise<VmId> {
  const { vm } = await aRunningVm(lab)
  assert.equal((await run(lab, attachIso, { vm, iso: await anIso(lab), forced: false })).state, 'done')
  return vm
}

const forced = async (lab: Lab) => ({ ...(await aRunningVm(lab)), forced: true })

/** A deployment that failed leaves a machine in Error, which can be removed. */
async function isExpunged(lab: Lab, { vm }: { vm: VmId }): Promise<void> {
  assert.equal((await run(lab, expungeVm, { vm, evenRunning: true })).state, 'done')
}

/** What it did for others too, the template's copy, stays until the template goes. */
async function isExpungedWithTemplate(lab: Lab, { vm, template }: DeployVm): Promise<void> {
  await isExpunged(lab, { vm })
  if (template) await run(lab, deleteTemplate, { template })
  await quiet(lab)
}

const sizes = { cpus: 3, cpuMhz: 500, memoryMib: 300 }

/** Every way to change a stopped machine. */
async function aChange(lab: Lab, to: VmChange['to']) {
  const { db } = lab.app
  const [{ vm }, offering, account] = [
    await aStoppedVm(lab),
    await db.selectFrom('service_offering').select('id').executeTakeFirstOrThrow(),
    await db.selectFrom('account').select('id').executeTakeFirstOrThrow(),
  ]
  const group = newId<'affinity-group'>()
  const type = 'host affinity'
  await db.insertInto('affinity_group').values({ id: group, account_id: account.id, name: group, type }).execute()
  const changes: Record<VmChange['to'], VmChange> = {
    offering: { to: 'offering', offering: offering.id, sizes },
    password: { to: 'password', password: { sealed: 'sealed', hash: '$6$salt$hash' } },
    keys: { to: 'keys', keys: [{ name: 'new', public_key: 'ssh-ed25519 AAAA' }] },
    affinities: { to: 'affinities', groups: [group] },
  }
  return { vm, change: changes[to] }
}

/** A machine that ran does so again, from the disk that it had. */
async function hasItsOldDisk(lab: Lab, input: RestoreVm): Promise<void> {
  const volumes = await lab.app.db.selectFrom('volume').selectAll().where('vm_id', '=', input.vm).execute()
  assert.deepEqual(
    volumes.map(({ state, type }) => ({ state, type })),
    [{ state: 'Ready', type: 'ROOT' }],
  )
  assert.notEqual(volumes[0]?.id, input.volume)
  assert.equal(await stateOf(lab, input.vm), 'Running')
}

const changes: readonly VmChange['to'][] = ['offering', 'password', 'keys', 'affinities']

async function anAffinityGroup(lab: Lab) {
  const { id: account } = await lab.app.db.selectFrom('account').select('id').executeTakeFirstOrThrow()
  const group = newId<'affinity-group'>()
  return { group, create: { account, name: group, type: 'host anti-affinity' as const, description: null } }
}

/** A host in that state, and all others in use. */
async function aHost(lab: Lab, state: HostResourceState): Promise<HostId> {
  const { db } = lab.app
  await db.updateTable('host').set({ resource_state: 'Enabled' }).execute()
  const { id } = await db.selectFrom('host').select('id').orderBy('name').executeTakeFirstOrThrow()
  await db.updateTable('host').set({ resource_state: state }).where('id', '=', id).execute()
  return id
}

async function aBusyHost(lab: Lab): Promise<HostId> {
  await aHost(lab, 'Enabled')
  const { vm } = await aRunningVm(lab)
  return (await hostOfVm(lab.app.db, vm))?.id as HostId
}

/** A new root disk for a machine, from its own template or another. */
async function aRestore(lab: Lab, { vm }: { vm: VmId }, set: Partial<RestoreVm> = {}): Promise<RestoreVm> {
  const { template_id } = await lab.app.db
    .selectFrom('vm')
    .select('template_id')
    .where('id', '=', vm)
    .executeTakeFirstOrThrow()
  return {
    vm,
    image: template_id,
    template: template_id,
    rootBytes: 2 ** 30,
    diskOffering: null,
    volume: newId<'volume'>(),
    layer: newId<'layer'>(),
    withPassword: true,
    expunge: true,
    forced: true,
    ...set,
  }
}

const onlyFor = {
  running: ['stop', 'run'],
  otherTemplate: ['cache-template'],
}

function stepsBut(definition: { steps: readonly Step[] }, ...names: string[]): string[] {
  return definition.steps.map(({ name }) => name).filter(name => !names.includes(name))
}

const scenarios: readonly Scenario[] = [
  ...forestScenarios,
  ...forestDeviceScenarios,
  {
    ...scenario(restoreVm, async lab => aRestore(lab, await aStoppedVm(lab)), 'restores'),
    steps: stepsBut(restoreVm, ...onlyFor.running, ...onlyFor.otherTemplate),
  },
  {
    ...scenario(restoreVm, async lab => aRestore(lab, await aStoppedVm(lab), { template: null }), 'restores'),
    steps: ['make-disk'],
  },
  {
    ...scenario(restoreVm, async lab => aRestore(lab, await aRunningVm(lab)), hasItsOldDisk),
    steps: stepsBut(restoreVm, ...onlyFor.otherTemplate),
  },
  {
    ...scenario(
      restoreVm,
      async lab => aRestore(lab, await aStoppedVm(lab), { template: await aTemplate(lab), image: null }),
      async (lab: Lab, { template }: RestoreVm) => {
        await run(lab, deleteTemplate, { template: template as NonNullable<typeof template> })
      },
    ),
    steps: onlyFor.otherTemplate,
  },
  ...changes.map(to => scenario(changeVm, lab => aChange(lab, to), 'restores')),
  scenario(changeAffinityGroup, anAffinityGroup, 'restores'),
  {
    ...scenario(deployVm, async lab => aDeployment(lab, await aPreparedTemplate(lab)), isExpunged),
    steps: stepsBut(deployVm, 'cache-template', 'seed-snapshot'),
  },
  {
    ...scenario(deployVm, async lab => aDeployment(lab, await aTemplate(lab)), isExpungedWithTemplate),
    steps: ['cache-template'],
  },
  {
    ...scenario(deployVm, async lab => ({ ...(await aDeployment(lab, await anIso(lab))), template: null }), isExpunged),
    steps: ['reserve-disks', 'make-disks'],
  },
  scenario(attachIso, async lab => ({ ...(await aRunningVm(lab)), iso: await anIso(lab), forced: false }), 'restores'),
  scenario(detachIso, async lab => ({ vm: await aVmWithIso(lab), forced: false }), 'restores'),
  scenario(startVm, aStoppedVm, 'restores'),
  scenario(stopVm, forced, 'settles'),
  scenario(rebootVm, forced, 'settles'),
  without(['unplug-data'], scenario(destroyVm, forced, 'settles')),
  without(
    ['discard-memory'],
    scenario(expungeVm, async lab => ({ ...(await aReachedVm(lab)), evenRunning: true }), 'again'),
  ),
  scenario(prepareTemplate, async lab => aCopyToMake(lab, await aTemplate(lab)), 'restores'),
  scenario(
    registerTemplate,
    async lab => {
      await lab.app.db
        .insertInto('configuration')
        .values({ name: 'allow.register.local.path', value: 'true' })
        .onConflict(c => c.doNothing())
        .execute()
      const template = await aTemplate(lab, { download_state: 'NOT_DOWNLOADED' })
      const { writeFile } = await import('node:fs/promises')
      await writeFile(`${lab.directory}/source.qcow2`, 'an image')
      return { template, url: `file://${lab.directory}/source.qcow2`, checksum: null }
    },
    async (lab, { template }) => {
      await lab.app.db
        .updateTable('template')
        .set({ download_state: 'NOT_DOWNLOADED' })
        .where('id', '=', template)
        .where('download_state', '=', 'DOWNLOAD_ERROR')
        .execute()
    },
  ),
  scenario(
    extractTemplate,
    async lab => {
      const ticket = { id: newId<'download'>(), tokenHash: newId(), sealedToken: '', seconds: 60 }
      return { template: await aTemplate(lab), ticket, fileName: 'image.qcow2' }
    },
    async (lab, { ticket }) => {
      const offered = await lab.app.db.selectFrom('download').select('id').where('id', '=', ticket.id).execute()
      assert.deepEqual(offered, [])
    },
  ),
  scenario(
    maintainPool,
    async lab => ({ pool: await aPool(lab, 'Disabled'), from: 'Disabled' as const }),
    (lab, { pool }) => poolIsAsBefore(lab, pool, 'Disabled'),
  ),
  scenario(
    reopenPool,
    async lab => ({ pool: await aPool(lab, 'Maintenance') }),
    (lab, { pool }) => poolIsAsBefore(lab, pool, 'Maintenance'),
  ),
  scenario(createTags, async lab => ({ ...(await aTaggedThing(lab)), customer: null }), 'restores'),
  scenario(deleteTags, aTaggedThing, 'restores'),
  scenario(deleteAccount, async lab => ({ account: await anAccountWithThings(lab) }), 'again'),
  scenario(disableAccount, async lab => ({ account: await anAccountWithThings(lab), lock: false }), 'again'),
  scenario(
    deleteDomain,
    async lab => {
      const domain = await aDomain(lab, newId())
      await anAccount(lab, await aDomain(lab, 'below', domain))
      return { domain, cleanup: true }
    },
    'again',
  ),
  scenario(migrateVm, async lab => ({ ...(await aRunningVm(lab)), host: null }), 'settles'),
  scenario(emptyHost, async lab => ({ host: await aBusyHost(lab) }), 'again'),
  scenario(reopenHost, async lab => ({ host: await aHost(lab, 'Maintenance') }), 'restores'),
  scenario(reconnectHost, async lab => ({ host: await aHost(lab, 'Enabled') }), 'restores'),
  scenario(deleteTemplate, async lab => ({ template: await aPreparedTemplate(lab) }), 'again'),
  without(
    ['merge'],
    scenario(
      removeLayer,
      async lab => {
        const template = await aPreparedTemplate(lab)
        const ref = await lab.app.db
          .updateTable('template_spool_ref')
          .set({ marked_for_gc: true })
          .where('template_id', '=', template)
          .returningAll()
          .executeTakeFirstOrThrow()
        return { layer: ref.layer_id as NonNullable<typeof ref.layer_id> }
      },
      'again',
    ),
  ),
  ...networkScenarios,
  ...nicScenarios,
  ...volumeScenarios,
  ...snapshotScenarios,
  ...cloneScenarios,
]

/** A pool of its own, so that no machine of another scenario is stopped with it. */
async function aPool(lab: Lab, state: PoolState): Promise<StoragePoolId> {
  const id = newId<'storage-pool'>()
  const cluster = await lab.app.db.selectFrom('cluster').select('id').executeTakeFirstOrThrow()
  await lab.app.db
    .insertInto('storage_pool')
    .values({
      id,
      cluster_id: cluster.id,
      name: id,
      path: `/${id}`,
      type: 'Filesystem',
      state,
      total_bytes: 1,
      free_bytes: 1,
    })
    .execute()
  return id
}

async function poolIsAsBefore(lab: Lab, pool: StoragePoolId, wanted: PoolState): Promise<void> {
  const { state } = await lab.app.db
    .selectFrom('storage_pool')
    .select('state')
    .where('id', '=', pool)
    .executeTakeFirstOrThrow()
  assert.equal(state, wanted)
}

async function aTaggedThing(lab: Lab) {
  return { kind: 'Template' as const, ids: [await aTemplate(lab)], tags: { purpose: 'test' } }
}

/** A running machine and a template are the account's. */
async function anAccountWithThings(lab: Lab): Promise<AccountId> {
  const { account } = await anAccount(lab, await aDomain(lab, newId()))
  await aTemplate(lab, { account_id: account })
  await aVolume(lab, account)
  const job = await run(lab, deployVm, await aDeployment(lab, await aTemplate(lab), account))
  assert.equal(job.state, 'done', job.problem?.message)
  return account
}

/** A data disk that was never attached. */
async function aVolume(lab: Lab, account: AccountId): Promise<void> {
  const zone = await lab.app.db.selectFrom('zone').select('id').executeTakeFirstOrThrow()
  const facts = { name: 'spare', type: 'DATADISK', state: 'Allocated', size_bytes: 2 ** 30 } as const
  await lab.app.db
    .insertInto('volume')
    .values({ id: newId(), account_id: account, zone_id: zone.id, ...facts })
    .execute()
}

async function aCopyToMake(lab: Lab, template: Awaited<ReturnType<typeof aTemplate>>) {
  const pool = await lab.app.db.selectFrom('storage_pool').select('id').orderBy('created').executeTakeFirstOrThrow()
  const ref = newId<'template-spool-ref'>()
  await lab.app.db
    .insertInto('template_spool_ref')
    .values({ id: ref, pool_id: pool.id, template_id: template, state: 'Allocated', download_state: 'NOT_DOWNLOADED' })
    .execute()
  return { template, pool: pool.id, ref, layer: newId<'layer'>() }
}

async function aPreparedTemplate(lab: Lab) {
  const template = await aTemplate(lab)
  const job = await run(lab, prepareTemplate, await aCopyToMake(lab, template))
  assert.equal(job.state, 'done', job.problem?.message)
  return template
}

/** The job with one step that does its work and then fails: the worst moment. */
function failingAt(definition: JobDefinition, name: string): JobDefinition {
  const fail = async (step: Step, context: never) => {
    await step.do(context)
    throw new Error(`made to fail after ${name}`)
  }
  return withSteps(definition, step => (step.name === name ? { ...step, do: context => fail(step, context) } : step))
}

/** The job with every act, and every undo of an act, done twice; the last step fails when `fail` is set. */
function doneTwice(definition: JobDefinition): JobDefinition {
  return withSteps(definition, step => {
    if (step.sort === 'record') return step
    const { undo } = step
    return {
      ...step,
      do: async context => {
        await step.do(context)
        return step.do(context)
      },
      undo:
        typeof undo === 'function'
          ? async context => {
              await undo(context)
              return undo(context)
            }
          : undo,
    }
  })
}

function withSteps(definition: JobDefinition, change: (step: Step) => Step): JobDefinition {
  return { ...definition, traits: definition.traits, steps: definition.steps.map(change) }
}

/** The definitions that the server works with: it looks a job's up when it claims it. */
const inUse = [...definitions]

function useInstead(changed: JobDefinition | null): void {
  inUse.splice(
    0,
    inUse.length,
    ...definitions.map(each => (each.traits.kind === changed?.traits.kind ? changed : each)),
  )
}

describe('every job', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab({ hosts: 2, definitions: inUse })
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  test('has a scenario here', () => {
    assert.deepEqual(
      [...new Set(scenarios.map(({ definition }) => definition.traits.kind))].toSorted(),
      definitions.map(({ traits }) => traits.kind).toSorted(),
    )
  })

  for (const { definition, arrange, failure, steps } of scenarios) {
    const { kind } = definition.traits
    for (const step of definition.steps.filter(({ name }) => steps?.includes(name) ?? true))
      test(`${kind} leaves nothing half done when "${step.name}" fails`, async () => {
        useInstead(null)
        await nothingLeftOver(lab)
        const input = await arrange(lab)
        await quiet(lab)
        const earlier = await inventory(lab)
        useInstead(failingAt(definition, step.name))
        const job = await run(lab, definition as unknown as JobDefinition<unknown>, input)
        assert.equal(job.state, 'failed', `it is ${job.state}: ${job.problem?.message}`)
        assert.match(job.problem?.message ?? '', /made to fail/)
        useInstead(null)
        await afterFailure(lab, definition, input, failure, earlier)
      })

    test(`${kind} may do every act twice`, async () => {
      useInstead(null)
      const input = await arrange(lab)
      useInstead(doneTwice(definition))
      const job = await run(lab, definition as unknown as JobDefinition<unknown>, input)
      assert.equal(job.state, 'done', job.problem?.message)
    })

    test(`${kind} may undo every act twice`, async () => {
      useInstead(null)
      const input = await arrange(lab)
      const last = definition.steps.at(-1)?.name ?? ''
      useInstead(failingAt(doneTwice(definition), last))
      const job = await run(lab, definition as unknown as JobDefinition<unknown>, input)
      assert.equal(job.state, 'failed', job.problem?.message)
    })
  }
})

/** What the server would else remove by itself while the job runs: earlier scenarios leave forks and layers that a sweep finds. */
async function nothingLeftOver(lab: Lab): Promise<void> {
  await swept(lab)
  const layers = watchLayers(lab.app.db, lab.app.jobs, lab.app.log)
  await layers.sweep()
  layers.close()
  await quiet(lab)
}

async function afterFailure(
  lab: Lab,
  definition: JobDefinition<unknown>,
  input: unknown,
  failure: Scenario['failure'],
  earlier: Awaited<ReturnType<typeof inventory>>,
): Promise<void> {
  await quiet(lab)
  if (typeof failure === 'function') {
    await failure(lab, input)
    await quiet(lab)
    const [now, then] = [await inventory(lab), earlier]
    assert.deepEqual(withoutThoseOf(input, now), withoutThoseOf(input, then))
  } else if (failure === 'restores') assert.deepEqual(await inventory(lab), earlier)
  else if (failure === 'settles') await settlesWithPower(lab, (input as { vm: VmId }).vm)
  else {
    const again = await run(lab, definition, input)
    assert.equal(again.state, 'done', again.problem?.message)
  }
}

async function settlesWithPower(lab: Lab, vm: VmId): Promise<void> {
  const { state, host_id } = await lab.app.db
    .selectFrom('vm')
    .select(['state', 'host_id'])
    .where('id', '=', vm)
    .executeTakeFirstOrThrow()
  const isOn = lab.world.machines.get(vm)?.power === 'on'
  assert.equal(state, isOn ? 'Running' : 'Stopped')
  assert.equal(host_id !== null, isOn)
}

/**
 * Leaves out the machine and the template that a job was about: what they are now is for the scenario to say. Of layers and memory
 * images only their number counts then: a machine whose disks were cut writes other layers than before.
 */
function withoutThoseOf(input: unknown, found: Awaited<ReturnType<typeof inventory>>) {
  const { vms, volumes, nics, cards, templates, machines, layers, files, memories, vmSnapshots, forks, ...rest } = found
  const { vm, template, snapshot, fork } = input as { vm?: string; template?: string; snapshot?: string; fork?: string }
  const count = <T>(all: readonly T[]) => (snapshot || fork ? all.length : all)
  return {
    ...rest,
    layers: count(layers),
    files: count(files),
    memories: count(memories),
    vms: vms.filter(({ id }) => id !== vm),
    volumes: volumes.filter(({ vm_id }) => vm_id !== vm),
    nics: nics.filter(({ vm_id }) => vm_id !== vm),
    vmSnapshots: vmSnapshots.filter(({ vm_id }) => vm_id !== vm),
    cards: snapshot || fork ? [] : cards,
    forks: forks.filter(({ id }) => id !== fork),
    machines: snapshot ? machines.filter(text => !text.startsWith(vm ?? '-')) : machines,
    templates: templates.filter(({ id }) => id !== template),
  }
}
