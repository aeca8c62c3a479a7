// Every command of the API, by name. A command that is not here does not exist: not for listApis, not for the door.
import type { Command } from '../command.ts'
import { cancelJob } from './cancel-job.ts'
import { createServiceOffering } from './create-service-offering.ts'
import { deleteTemplate } from './delete-template.ts'
import { deployVirtualMachine } from './deploy-virtual-machine.ts'
import { destroyVirtualMachine } from './destroy-virtual-machine.ts'
import { expungeVirtualMachine } from './expunge-virtual-machine.ts'
import { getConsoleLog } from './get-console-log.ts'
import { listAsyncJobs } from './list-async-jobs.ts'
import { listTemplates } from './list-templates.ts'
import { listVirtualMachines } from './list-virtual-machines.ts'
import { listVolumes } from './list-volumes.ts'
import { listZones } from './list-zones.ts'
import { prepareTemplate } from './prepare-template.ts'
import { queryAsyncJobResult } from './query-async-job-result.ts'
import { rebootVirtualMachine } from './reboot-virtual-machine.ts'
import { registerTemplate } from './register-template.ts'
import { retryJob } from './retry-job.ts'
import { startVirtualMachine } from './start-virtual-machine.ts'
import { stopVirtualMachine } from './stop-virtual-machine.ts'
import { updateVirtualMachine } from './update-virtual-machine.ts'

export const commands: readonly Command[] = [
  cancelJob,
  createServiceOffering,
  deleteTemplate,
  deployVirtualMachine,
  destroyVirtualMachine,
  expungeVirtualMachine,
  getConsoleLog,
  listAsyncJobs,
  listTemplates,
  listVirtualMachines,
  listVolumes,
  listZones,
  prepareTemplate,
  queryAsyncJobResult,
  rebootVirtualMachine,
  registerTemplate,
  retryJob,
  startVirtualMachine,
  stopVirtualMachine,
  updateVirtualMachine,
]
