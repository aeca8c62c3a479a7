// Moves a running machine to another host of its cluster. It occupies both hosts until the driver has moved it; where it runs in
// the end is asked of the driver, so that a migration that failed half way is told as what it became.
import type { HostId, JobId, StoragePoolId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { hostById } from '../store/hosts.ts'
import { demandAction, holdVm, moveVm, setVm, vmLock } from '../store/vms.ts'
import { volumesOf } from '../store/volumes.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'
import { choosePlace } from './vm-steps.ts'

export interface MigrateVm {
  readonly vm: VmId
  /** Null: the one with the most room. */
  readonly host: HostId | null
  /** The job that empties the host, where that is why. */
  readonly cause?: JobId
}

export const migrateVm = defineJob<MigrateVm>({
  kind: 'migrate-vm',
  event: 'VM.MIGRATE',
  doing: 'migrating virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('take-host', {
    do: async ({ tx, input, settings }): Promise<HostId> => {
      const vm = await holdVm(tx, input.vm)
      demandAction(vm, 'migrate')
      const [root] = await volumesOf(tx, vm.id)
      const { host } = await choosePlace(tx, settings, vm.id, {
        cpus: vm.cpus,
        memoryMib: vm.memory_mib,
        diskBytes: new Map(),
        zone: vm.zone_id,
        host: input.host ?? undefined,
        except: vm.host_id ?? undefined,
        pool: root?.pool_id as StoragePoolId | undefined,
      })
      await moveVm(tx, vm.id, 'MigrationRequested', { target_host_id: host.id })
      return host.id
    },
    undo: settleWhereItRuns,
  })
  .act('migrate', {
    do: async ({ db, driver, input, made, signal }) => {
      const host = await hostById(db, made['take-host'])
      if (!host) throw new Problem('unavailable', 'host-silent', `The host ${made['take-host']} is gone`)
      await driver.machines.migrate(input.vm, host, signal)
    },
    undo: nothing('it runs on one of both hosts; the step before looks on which'),
  })
  .record('note-moved', {
    do: async ({ tx, input, made }) => {
      const { host_id: source } = await moveVm(tx, input.vm, 'OperationSucceeded', { target_host_id: null })
      await setVm(tx, input.vm, { host_id: made['take-host'], last_host_id: source })
    },
    undo: nothing('nothing follows it'),
  })

async function settleWhereItRuns({ tx, input, driver }: RecordContext<MigrateVm, object>): Promise<void> {
  const { power, host } = await driver.machines.facts(input.vm)
  const vm = await holdVm(tx, input.vm)
  if (vm.state !== 'Migrating') return
  if (power === 'on') await moveVm(tx, vm.id, 'OperationFailed', { target_host_id: null, host_id: host ?? vm.host_id })
  else await moveVm(tx, vm.id, 'FollowAgentPowerOffReport', { target_host_id: null, host_id: null })
}
