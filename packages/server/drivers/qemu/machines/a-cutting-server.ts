// For tests: a server of its own that cuts, replaces or freezes a machine, to be killed in the middle. Its only argument says what to do.
import type { Cut, MachineSpec, MemoryImageRef } from '../../driver.ts'
import type { VmId } from '@ramet/core/ids.ts'
import { quietLog } from '../a-driver.ts'
import { qemuDriver } from '../driver.ts'

export interface Order {
  readonly runDirectory: string
  readonly vm: VmId
  readonly cut?: Cut
  readonly replace?: MachineSpec
  readonly freeze?: MemoryImageRef
}

if (process.argv[1] === import.meta.filename) {
  const { runDirectory, vm, cut, replace, freeze } = JSON.parse(process.argv[2] ?? '{}') as Order
  const driver = await qemuDriver({ runDirectory, acceleration: 'tcg', log: quietLog })
  const signal = new AbortController().signal
  await driver.machines.adopt()
  process.stdout.write('ready\n')
  if (cut) await driver.machines.cut(vm, cut, () => {}, signal)
  if (replace) await driver.machines.replace(replace)
  if (freeze) await driver.machines.freeze(vm, freeze, () => {}, signal)
  process.stdout.write('done\n')
  await driver.close()
}
