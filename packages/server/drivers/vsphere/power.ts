// Power and place of machines. What already is as asked is left alone.
import type { Power } from '../driver.ts'
import { problems, telling } from './problems.ts'
import { settled } from './settled.ts'
import type { RunOptions, Vcenter } from './vcenter.ts'
import { isFault } from './vim25/faults.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

/** Suspended is off: nothing runs. */
export function asPower(powerState: string | undefined): Power {
  return powerState === 'poweredOn' ? 'on' : 'off'
}

type MachineRef = Ref<'VirtualMachine'>

export function powerOn(vcenter: Vcenter, vm: MachineRef, options?: RunOptions): Promise<void> {
  return telling('The machine', () => switchTo(vcenter, vm, 'poweredOn', options))
}

export function powerOff(vcenter: Vcenter, vm: MachineRef, options?: RunOptions): Promise<void> {
  return telling('The machine', () => switchTo(vcenter, vm, 'poweredOff', options))
}

async function switchTo(vcenter: Vcenter, vm: MachineRef, wanted: 'poweredOn' | 'poweredOff', options?: RunOptions) {
  const read = () => readObject(vcenter.connection, vm, ['runtime.powerState', 'runtime.question'])
  if ((await read())['runtime.powerState'] === wanted) return
  try {
    await vcenter.run(vm, wanted === 'poweredOn' ? 'PowerOnVM_Task' : 'PowerOffVM_Task', {}, options)
  } catch (error) {
    if (!isFault(error, 'InvalidPowerState') || error.fault['existingState'] !== wanted) throw error
  }
  await settled(read, each => each['runtime.powerState'] === wanted, `the machine is not ${wanted}`)
}

/** Moves a machine to a host that reaches its disks; where it is there already, nothing is done. */
export function moveToHost(vcenter: Vcenter, vm: MachineRef, host: Ref, options?: RunOptions): Promise<void> {
  return telling('The machine', async () => {
    const read = () => readObject(vcenter.connection, vm, ['runtime.host'])
    if ((await read())['runtime.host'] === host) return
    await vcenter.run(vm, 'RelocateVM_Task', { spec: { host } }, options)
    await settled(read, each => each['runtime.host'] === host, 'the machine is on another host')
  })
}

/** Removes a machine that is off, with its files; one that is not there is removed. */
export function destroyMachine(vcenter: Vcenter, vm: MachineRef, options?: RunOptions): Promise<void> {
  return telling('The machine', async () => {
    try {
      await vcenter.run(vm, 'Destroy_Task', {}, options)
    } catch (error) {
      if (isFault(error, 'InvalidPowerState')) throw problems.wrongState('The machine', error)
      if (!isFault(error, 'ManagedObjectNotFound')) throw error
    }
  })
}
