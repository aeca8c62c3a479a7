// What the vSphere driver itself takes: for a clone, for the inventory of a large vCenter, and how many clones it has made at once. Against the
// simulated vCenter of the tests, so its figures say nothing of how fast a vCenter is.
import { newId } from '@ramet/core/ids.ts'
import type { ForestMachine, Spawn } from '@ramet/server/drivers/forest.ts'
import { aVcenter, type TestVcenter } from '@ramet/server/drivers/vsphere/a-vcenter.ts'
import { vsphereDriver, type VsphereDriver } from '@ramet/server/drivers/vsphere/driver.ts'
import { Inventory } from '@ramet/server/drivers/vsphere/inventory.ts'
import { powerOff } from '@ramet/server/drivers/vsphere/power.ts'
import { Vcenter } from '@ramet/server/drivers/vsphere/vcenter.ts'
import { readObject } from '@ramet/server/drivers/vsphere/vim25/properties.ts'
import type { Benchmark } from './benchmark.ts'
import { figure } from './measure.ts'

const machines = 5000
const atOnce = 200
const following = { progress: () => {}, signal: new AbortController().signal }

export const vsphere: Benchmark = {
  name: 'vsphere',
  about: `the driver's own part of a clone, of an inventory of ${machines} machines, and ${atOnce} clones at once, on a simulated vCenter`,
  rounds: 20,
  alone: true,
  run: async (_, rounds) => {
    const overheads = await withVcenter(['-machines', '1'], server => clones(server, rounds))
    const syncs = await withVcenter(['-machines', String(machines)], sync)
    const started = await withVcenter(['-machines', '1', '-task-delay', '20000'], crowd)
    return {
      figures: [
        figure('vsphere: linked clone, besides its task', 'ms', overheads, { limit: 15 }),
        figure(`vsphere: processor time to read ${machines} machines`, 'ms', syncs, { limit: 5000 }),
        figure(`vsphere: until ${atOnce} clone tasks are under way`, 'ms', started),
      ],
      notes: [
        'A clone: from the call to its answer, without the time from queueing to completion that the simulator notes for the task.',
        'The simulator and the driver share the processors of this machine.',
      ],
    }
  },
}

async function withVcenter<T>(options: string[], use: (server: TestVcenter) => Promise<T>): Promise<T> {
  const server = await aVcenter(...options)
  try {
    return await use(server)
  } finally {
    await server.stop()
  }
}

async function sync(server: TestVcenter): Promise<number[]> {
  const times: number[] = []
  for (let round = 0; round < 3; round++) {
    const vcenter = await Vcenter.open(server)
    const before = process.cpuUsage()
    const inventory = await Inventory.open(vcenter)
    const { user, system } = process.cpuUsage(before)
    times.push((user + system) / 1000)
    const found = inventory.all('VirtualMachine').size
    await inventory.close()
    await vcenter.close()
    if (found < machines) throw new Error(`there are ${found} machines, not ${machines}`)
  }
  return times
}

async function clones(server: TestVcenter, rounds: number): Promise<number[]> {
  const [driver, eyes] = [await opened(server), await Vcenter.open(server)]
  const tasks: string[] = []
  driver.forest.onTask(({ id, name, outcome }) => outcome === null && name === 'CloneVM_Task' && tasks.push(id))
  const spawn = await spawning(driver, server)
  const times: number[] = []
  for (let round = -3; round < rounds; round++) {
    const begin = performance.now()
    await spawn(round + 3)
    const whole = performance.now() - begin
    const its = await lasted(eyes, tasks.at(-1) ?? '')
    if (round >= 0) times.push(whole - its) // what came before warmed up
  }
  await eyes.close()
  await driver.close()
  return times
}

async function lasted(vcenter: Vcenter, task: string): Promise<number> {
  const times = ['info.queueTime', 'info.completeTime'] as const
  const found = await readObject(vcenter.connection, `Task:${task}`, times)
  return Date.parse(found['info.completeTime'] ?? '') - Date.parse(found['info.queueTime'] ?? '')
}

/** How long it takes until all are under way; the simulator is ended then. */
async function crowd(server: TestVcenter): Promise<number[]> {
  const driver = await opened(server)
  const spawn = await spawning(driver, server)
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  let count = 0
  const begin = performance.now()
  driver.forest.onTask(({ outcome }) => {
    if (outcome === null && ++count === atOnce) resolve(performance.now() - begin)
  })
  const late = setTimeout(() => reject(new Error(`only ${count} of ${atOnce} clone tasks were under way`)), 120_000)
  for (let at = 0; at < atOnce + 20; at++) spawn(at).catch(() => {}) // it is given up below
  const ms = await promise
  clearTimeout(late)
  await driver.close()
  return [ms]
}

function opened(server: TestVcenter): Promise<VsphereDriver> {
  return vsphereDriver({ ...server, cluster: 'DC0/DC0_C0', mostTasks: atOnce })
}

/** Makes linked clones of one template, by their numbers. */
async function spawning(driver: VsphereDriver, server: TestVcenter) {
  const { forest } = driver
  const { hosts, pools } = await forest.inventory()
  const template = { kind: 'template', id: newId<'template'>() } as const
  await forest.adopt(template, await aSource(server), following)
  const pool = { id: newId<'storage-pool'>(), path: pools[0]?.path ?? '' }
  return (number: number) => {
    const host = { id: newId<'host'>(), name: hosts[number % hosts.length]?.name ?? '' }
    const hex = number.toString(16).padStart(4, '0')
    const mac = `02:00:4c:00:${hex.slice(0, 2)}:${hex.slice(2)}`
    const machine: ForestMachine = {
      vm: newId<'vm'>(),
      host,
      name: `bench-${number}`,
      cpus: 1,
      memoryMib: 64,
      plugs: [{ deviceId: 0, mac, network: 'VM Network' }],
      cdrom: null,
      firstBoot: {
        instanceId: `i-${number}`,
        hostname: `bench-${number}`,
        sshKeys: [],
        passwordHash: null,
        userData: null,
      },
    }
    const wanted: Spawn = { machine, from: template, pool, cloneType: 'linked', rootBytes: null, disks: [0] }
    return forest.spawn(wanted, following)
  }
}

/** A machine that the simulator came with, off. */
async function aSource(server: TestVcenter): Promise<string> {
  const vcenter = await Vcenter.open(server)
  const inventory = await Inventory.open(vcenter)
  const [first] = inventory.all('VirtualMachine').keys()
  if (!first) throw new Error('the simulator has no machine')
  await powerOff(vcenter, first)
  await inventory.close()
  await vcenter.close()
  return first.slice('VirtualMachine:'.length)
}
