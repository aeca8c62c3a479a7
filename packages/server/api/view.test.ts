import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boolean, date, integer, nested, render, string, view, wireDate } from './view.ts'

interface Disk {
  readonly name: string
}

interface Machine {
  readonly name: string | null
  readonly cpus: number
  readonly made: Date
  readonly disks?: readonly Disk[]
}

const diskView = view<Disk>('disk', { name: string('its name', disk => disk.name) })
const machineView = view<Machine>('machine', {
  name: string('its name', machine => machine.name),
  cpus: integer('its CPUs', machine => machine.cpus),
  big: boolean('whether it is big', machine => machine.cpus > 8),
  made: date('when it was made', machine => machine.made),
  disk: nested('its disks', diskView, machine => machine.disks),
})

const made = new Date('2025-01-31T12:00:00.789Z')

test('dates have no milliseconds and an offset without colon', () => {
  assert.equal(wireDate(made), '2025-01-31T12:00:00+0000')
})

test('fields without a value are left out, zero and false are values', () => {
  assert.deepEqual(render(machineView, { name: null, cpus: 0, made }, true), {
    cpus: 0,
    big: false,
    made: '2025-01-31T12:00:00+0000',
  })
})

test('nested objects are shown by their own view', () => {
  const machine = render(machineView, { name: 'm', cpus: 1, made, disks: [{ name: 'root' }] }, true)
  assert.deepEqual(machine['disk'], [{ name: 'root' }])
})
