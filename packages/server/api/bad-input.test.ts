// Every parameter of every command with values at and beyond its limits. None may surprise the server (530), a refusal names
// the parameter and changes nothing. Made from the declarations, so that a new command is in it by itself.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { asProblem, Problem } from '@ramet/core/problem.ts'
import { badValues } from '../testing/bad-values.ts'
import { administrator, call, type Given } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aDeployment, aTemplate, type Lab, simulatedLab } from '../testing/lab.ts'
import { type Expectation, expectations } from '../testing/permissions.ts'
import { aRealm, fingerprint, type Realm, someThings } from '../testing/realm.ts'
import type { Caller } from './caller.ts'
import type { Command } from './command.ts'
import { commands } from './commands/index.ts'
import type { Parameter } from './parameters.ts'

describe('bad input', () => {
  let lab: Lab
  let admin: Caller
  let realm: Realm
  let stand: Record<string, string>

  before(async () => {
    lab = await simulatedLab()
    await lab.app.jobs.close() // jobs are written down, and nothing changes but by a call
    admin = await administrator(lab)
    realm = await aRealm(lab)
    stand = await standing()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  async function standing(): Promise<Record<string, string>> {
    const { db } = lab.app
    const first = async (
      table: 'zone' | 'pod' | 'cluster' | 'host' | 'storage_pool' | 'service_offering' | 'disk_offering',
    ) => (await db.selectFrom(table).select('id').executeTakeFirstOrThrow()).id as string
    const template = await aTemplate(lab)
    return {
      $zone: await first('zone'),
      $pod: await first('pod'),
      $cluster: await first('cluster'),
      $host: await first('host'),
      $pool: await first('storage_pool'),
      $offering: await first('service_offering'),
      $diskoffering: await first('disk_offering'),
      $networkoffering: (
        await db.selectFrom('network_offering').select('id').where('is_segment', '=', true).executeTakeFirstOrThrow()
      ).id,
      $template: template,
      $vm: (await aDeployment(lab, template)).vm,
      $iso: await aTemplate(lab, { format: 'ISO' }),
    }
  }

  test('is read or refused by every parameter, with a sentence that names it', () => {
    for (const command of commands)
      for (const [name, parameter] of Object.entries(command.params))
        for (const bad of badValues(name, parameter)) {
          const found = reading(parameter, name, new Map(Object.entries(bad)))
          if (!found) continue
          const what = `${command.name} ${JSON.stringify(bad).slice(0, 80)}: ${found.message}`
          assert.ok(['invalid', 'malformed'].includes(found.kind), what)
          assert.ok(found.message.includes(name), what)
        }
  })

  for (const command of commands)
    test(`does not surprise ${command.name}, and a refusal changes nothing`, async () => {
      const refused: Given[] = []
      let base = await baseOf(command)
      const plain = await problemOf(command, base())
      for (const [name, parameter] of Object.entries(command.params))
        for (const bad of valuesFor(command, name, parameter)) {
          let given = { ...base(), ...bad }
          let problem = await problemOf(command, given)
          if (problem?.kind === 'invalid' && !problem.message.includes(name)) {
            base = await baseOf(command) // perhaps a call before this one has ended what it is about
            given = { ...base(), ...bad }
            problem = await problemOf(command, given)
          }
          if (!problem) continue
          const what = `${command.name} ${JSON.stringify(bad).slice(0, 80)}: ${problem.kind} ${problem.code} ${problem.message}`
          assert.notEqual(problem.kind, 'internal', what)
          if (problem.kind === 'invalid' || problem.kind === 'malformed')
            assert.ok(problem.message.includes(name) || isSame(problem, plain), what)
          refused.push(given)
        }
      const earlier = await fingerprint(lab)
      for (const given of refused) await problemOf(command, given)
      assert.deepEqual(await fingerprint(lab), earlier)
    })

  async function problemOf(command: Command, given: Given): Promise<Problem | null> {
    try {
      await call(lab, command.name, given, admin)
      return null
    } catch (error) {
      return asProblem(error)
    }
  }

  /** Calls that might work: what the table of permissions gives, and something for whatever else the call needs. */
  async function baseOf(command: Command): Promise<() => Given> {
    const [expectation] = [expectations[command.name] ?? []].flat() as readonly Expectation[]
    const alice = { ...realm.alice, domain: realm.east }
    const owned = expectation && !('open' in expectation) ? await someThings(lab, alice) : null
    return () => {
      const given = owned && expectation ? givenBy(expectation, owned) : (bases[command.name] ?? {})
      const filled = Object.entries(given).map(([name, value]) => [name, stand[value as string] ?? value] as const)
      const missing = Object.entries(command.params)
        .filter(([name, { required }]) => required && !(name in given))
        .map(([name, { type }]) => [name, type === 'uuid' ? newId() : type === 'string' ? 'x' : '1'] as const)
      return Object.fromEntries([...filled, ...missing])
    }
  }

  function givenBy(expectation: Expectation, owned: Awaited<ReturnType<typeof someThings>>): Given {
    if ('on' in expectation) return expectation.on(owned)
    if ('for' in expectation) return { ...expectation.for(owned), account: owned.account, domainid: owned.domain }
    if ('domain' in expectation) return expectation.domain(owned)
    return 'lists' in expectation ? { listall: true, ...expectation.given } : {}
  }
})

// These make keys or hash passwords, a tenth of a second and more each time: one good value and the worst will do.
const slow = new Set(['createAccount', 'createSSHKeyPair', 'createUser'])

function valuesFor(command: Command, name: string, parameter: Parameter<unknown>): Record<string, string>[] {
  const all = badValues(name, parameter)
  return slow.has(command.name)
    ? all.filter((bad, index) => index % 4 === 0 || reading(parameter, name, new Map(Object.entries(bad))))
    : all
}

/** The call is refused anyway; ids are new each time. */
function isSame({ message }: Problem, plain: Problem | null): boolean {
  const withoutIds = (text: string) => text.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
  return plain !== null && withoutIds(message) === withoutIds(plain.message)
}

/** What is wrong with the value, according to its parameter. */
function reading(parameter: Parameter<unknown>, name: string, raw: ReadonlyMap<string, string>): Problem | null {
  try {
    const value = parameter.read(name, raw)
    if (typeof value === 'number')
      assert.ok(Number.isSafeInteger(value) || parameter.type === 'string', `${name} is ${value}`)
    return null
  } catch (error) {
    return error instanceof Problem ? error : new Problem('internal', 'internal', String(error))
  }
}

/** Calls of administrators that can do something. */
const bases: Readonly<Record<string, Given>> = {
  addCluster: {
    clustername: 'c',
    hypervisor: 'Simulator',
    zoneid: '$zone',
    podid: '$pod',
    clustertype: 'CloudManaged',
  },
  createDiskOffering: { name: 'd', displaytext: 'd', disksize: 1 },
  createNetworkOffering: { name: 'n', displaytext: 'n', guestiptype: 'Isolated' },
  createPod: { zoneid: '$zone', name: 'p', gateway: '10.0.0.1', netmask: '255.255.255.0', startip: '10.0.0.2' },
  createServiceOffering: { name: 's', displaytext: 's', cpunumber: 1, cpuspeed: 1000, memory: 256 },
  createStoragePool: { zoneid: '$zone', podid: '$pod', clusterid: '$cluster', name: 'p', url: 'file:///nowhere' },
  createZone: { name: 'z', dns1: '10.0.0.1', internaldns1: '10.0.0.1', networktype: 'Advanced' },
  prepareTemplate: { zoneid: '$zone', templateid: '$template' },
  resetConfiguration: { name: 'vm.stop.wait' },
  findHostsForMigration: { virtualmachineid: '$vm' },
  migrateVirtualMachine: { virtualmachineid: '$vm', hostid: '$host' },
  updateHost: { id: '$host' },
  updateCluster: { id: '$cluster' },
  updateConfiguration: { name: 'vm.stop.wait', value: 60 },
  updateNetworkOffering: { id: '$networkoffering' },
  updatePod: { id: '$pod' },
  updateServiceOffering: { id: '$offering' },
  updateStoragePool: { id: '$pool' },
  updateZone: { id: '$zone' },
}
