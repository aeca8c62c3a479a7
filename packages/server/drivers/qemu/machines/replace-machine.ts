// A machine that runs goes on from a memory image, as it was then: in another process, which is started and has loaded everything while the
// first one still runs. So its cards are without a process for an instant only, and others see that a machine was silent for so long. One
// whose connections live in its process is stopped and started instead.
import type { MachineSpec } from '../../driver.ts'
import { activeLayers } from '../disks/active-layers.ts'
import { tipOf } from '../disks/blockdev.ts'
import { requireIso } from '../disks/cdrom.ts'
import { chooseCapabilities } from '../memory/device-state.ts'
import { dropSuccessor, ownerOfFolder, successorFolder } from './machine-folder.ts'
import type { Machine } from './machine.ts'
import type { Surroundings } from './machines.ts'
import type { Log } from '../options.ts'
import { markQuiesced, wake } from '../guest/quiesce.ts'
import { goOn } from '../memory/save-memory.ts'
import { openState, type Resumption, resumptionOf } from '../memory/start-from-memory.ts'
import { end, listen, type Second, startSecond } from './successor.ts'

/** Whether it is the machine that is described: an earlier try may have replaced it. */
export async function isAsDescribed(machine: Machine, { disks }: MachineSpec): Promise<boolean> {
  const active = await activeLayers(machine)
  return disks.every(({ deviceId, chain }) => active.get(deviceId) === tipOf(chain).id)
}

/** False where that cannot be; then nothing has changed. `become` is told the process that is the machine from then on. */
export async function replaceMachine(
  first: Machine,
  spec: MachineSpec,
  around: Surroundings,
  become: (machine: Machine) => void,
): Promise<boolean> {
  const { folder } = first.found
  const next = successorFolder(folder)
  await requireIso(spec.cdrom)
  const resumption = await resumptionOf(spec, next, around)
  if (!resumption || spec.nics.some(({ kind }) => kind === 'user-nat')) return false
  await around.networks.admit(spec.vm, spec.nics, spec.firstBoot.hostname)
  const { accelerator, log } = around
  const plan = { spec, folder: next, ports: {}, accelerator, ...resumption }
  const identity = await ownerOfFolder(folder)
  const state = await openState(resumption)
  const second = await startSecond(first, plan, state.fd, identity, log).finally(() => state.close())
  await exchange(first, second, resumption, become, log)
  return true
}

async function exchange(
  first: Machine,
  second: Second,
  { quiesced }: Resumption,
  become: (machine: Machine) => void,
  log: Log,
): Promise<void> {
  const { folder } = first.found
  const stun = listen(first, second.machine)
  try {
    await second.load()
    const qmp = await first.monitor()
    await chooseCapabilities(qmp, ['pause-before-switchover']) // whoever finds it standing still lets it go on
    if (quiesced) await markQuiesced(first)
    await qmp.execute('stop')
    await second.takeOver(become)
  } catch (error) {
    if (second.hasTakenOver) throw error
    await second.kill()
    await dropSuccessor(folder)
    if (first.alive) await goOn(await first.monitor())
    if (quiesced) await wake(first)
    throw error
  }
  await end(first, second.machine)
  log.info({ vm: first.vm, stunMs: stun() }, 'a machine went on in another process')
  if (quiesced) await wake(second.machine)
}
