// One journey that every client makes in its own way: look around, deploy and wait, stop, start, find, be refused, destroy.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Cloud, type Fields, type World } from '../world.ts'

/** Calls a command, waits for its job if it has one, and gives what is inside the envelope; a refusal is an error. */
export type Ask = (command: string, parameters?: Fields) => Promise<Fields>

/** A server with a template whose disk is blank, so that a machine costs next to nothing. */
export async function openCloud(): Promise<{ cloud: Cloud; template: string }> {
  const cloud = await Cloud.open()
  const image = join(cloud.folder, 'blank.qcow2')
  await promisify(execFile)('qemu-img', ['create', '-q', '-f', 'qcow2', image, '16M'])
  return { cloud, template: (await cloud.world.registerTemplate(image)).id }
}

export async function journey(ask: Ask, world: World, template: string, name: string): Promise<void> {
  const [zone] = listed(await ask('listZones'), 'zone')
  assert.equal(zone?.['id'], world.zone)
  const templates = listed(await ask('listTemplates', { templatefilter: 'executable' }), 'template')
  assert.deepEqual(ids(templates), [template])

  const asked = { zoneid: world.zone, serviceofferingid: world.offering, templateid: template, name, keypair: 'demo' }
  const deployed = machineIn(await ask('deployVirtualMachine', { ...asked, displayname: `${name} & co: 1 + 1 = 2` }))
  const id = deployed['id'] as string
  assert.deepEqual(
    [deployed['name'], deployed['displayname'], deployed['state'], deployed['clonetype']],
    [name, `${name} & co: 1 + 1 = 2`, 'Running', 'linked'],
  )
  assert.deepEqual([deployed['keypair'], deployed['keypairs']], ['demo', 'demo'])
  assert.equal(machineIn(await ask('stopVirtualMachine', { id, forced: true }))['state'], 'Stopped')
  const found = async (filter: Fields) =>
    ids(listed(await ask('listVirtualMachines', { listall: true, ...filter }), 'virtualmachine'))
  assert.deepEqual(await found({ keyword: name, state: 'Stopped' }), [id])
  assert.deepEqual(await found({ keyword: name, state: 'Running' }), [])
  assert.equal(machineIn(await ask('startVirtualMachine', { id }))['state'], 'Running')

  await assert.rejects(ask('startVirtualMachine', { id }), new RegExp(`${name} is Running`))
  await assert.rejects(ask('startVirtualMachine', { id: world.zone }), /431/)
  await assert.rejects(ask('stopVirtualMachine', { id: 'x' }), /Parameter id must be a UUID/)

  await ask('destroyVirtualMachine', { id, expunge: true })
  assert.deepEqual(await found({ id }), [])
}

/** An empty list has no array at all. */
function listed(answer: Fields, object: string): Fields[] {
  return (answer[object] ?? []) as Fields[]
}

function machineIn(answer: Fields): Fields {
  return answer['virtualmachine'] as Fields
}

function ids(objects: readonly Fields[]): unknown[] {
  return objects.map(object => object['id'])
}

/** Parameters as they are written on a command line. */
export function spelt(parameters: Fields = {}): string[] {
  return Object.entries(parameters).map(([name, value]) => `${name}=${String(value)}`)
}

/** What a client printed; of an empty answer they print nothing. */
export function read(printed: string): Fields {
  return (printed.trim() ? JSON.parse(printed) : {}) as Fields
}
