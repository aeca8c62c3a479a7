// A machine is taken down for a moment, because something shall take the place of what it does. Where that fails after all, it
// runs again on the disks that it had: it boots, and what was only in its memory is gone. Where it cannot be started, it is
// Stopped with those disks. Either way the job's problem says which. Three steps, by name, for a recipe beside this file; a machine
// that was off is left alone by all of them.
import { Problem, asProblem } from '@ramet/core/problem.ts'
import type { VmId } from '@ramet/core/ids.ts'
import { holdVm, moveVm, vmById } from '../store/vms.ts'
import type { RecordContext, StepContext } from './define-job.ts'
import { beginStop, notePorts, noteRunning, noteStopped, runMachine, takeHost } from './vm-steps.ts'

interface OnVm {
  readonly vm: VmId
}

/** What the first step of the recipe has found. */
interface Begun {
  readonly begin: { readonly wasRunning: boolean }
}

type Recording = RecordContext<OnVm, Begun>
type Acting = StepContext<OnVm, Begun>

export const interruption = {
  begin: {
    do: async (context: Recording) => {
      if (context.made.begin.wasRunning) await beginStop.do(context)
    },
    undo: settle,
  },
  stop: {
    when: ({ begin }: Begun) => begin.wasRunning,
    do: ({ driver, input, signal }: Acting) => driver.machines.stop(input.vm, 0, signal),
    undo: runAgain,
  },
  note: {
    do: async (context: Recording) => {
      if (context.made.begin.wasRunning) await noteStopped.do(context)
    },
    undo: takeHostAgain,
  },
}

const stays = (reason: string) =>
  `The machine is Stopped, with the disks that it had, because it could not be started again: ${reason}`

/** Stopped → Starting, for the undo before this one to run it. */
async function takeHostAgain(context: Recording): Promise<string | undefined> {
  if (!context.made.begin.wasRunning) return undefined
  try {
    await takeHost.do(context)
    return undefined
  } catch (error) {
    if (error instanceof Problem) return stays(error.message)
    throw error
  }
}

/** A machine that the stop did not end is left alone. */
async function runAgain(context: Acting): Promise<string | undefined> {
  const { db, input, log } = context
  const state = (await vmById(db, input.vm))?.state
  if (state !== 'Starting' && state !== 'Stopping') return undefined
  try {
    await runMachine.do(context)
    return 'The machine runs, on the disks that it had; where it had to boot again, what was only in its memory is gone'
  } catch (error) {
    log.warn({ err: error, vm: input.vm }, 'a machine that was to be left as it was cannot be started')
    return stays(asProblem(error).message)
  }
}

/** Its state is what its process does. */
async function settle(context: Recording): Promise<void> {
  const { tx, input, driver, made } = context
  if (!made.begin.wasRunning) return
  const facts = await driver.machines.facts(input.vm)
  const { state } = await holdVm(tx, input.vm)
  if (facts.power === 'off') {
    if (state === 'Stopping') await moveVm(tx, input.vm, 'OperationSucceeded', { host_id: null })
    if (state === 'Starting') await moveVm(tx, input.vm, 'OperationFailed', { host_id: null })
  } else if (state === 'Starting') await noteRunning(context, facts)
  else if (state === 'Stopping') {
    await moveVm(tx, input.vm, 'OperationFailed')
    await notePorts(tx, facts)
  }
}
