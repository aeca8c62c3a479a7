// A VM snapshot on the wire. In lists its name is vmSnapshot, in the result of a job vmsnapshot, as upstream has it.
import { warning } from '@ramet/core/vm-snapshot.ts'
import type { ListedVmSnapshot } from '../../store/vm-snapshot-list.ts'
import { boolean, date, type Field, float, integer, long, nested, string, view } from '../view.ts'
import { pathOnWire } from './domain.ts'
import { tagView } from './tag.ts'

export interface VmSnapshotOnWire extends ListedVmSnapshot {
  /** The setting vmsnapshot.max. */
  readonly most: number
}

const fields: Record<string, Field<VmSnapshotOnWire>> = {
  id: string('the id of the VM snapshot', snapshot => snapshot.id),
  name: string('its internal name', snapshot => snapshot.name),
  displayname: string('its name', snapshot => snapshot.display_name),
  description: string('what it is for', snapshot => snapshot.description),
  state: string('Allocated, Creating, Ready, Reverting, Expunging, Error', snapshot => snapshot.state),
  type: string('Disk or DiskAndMemory', snapshot => snapshot.type),
  current: boolean("whether the machine's disks stand on it", snapshot => snapshot.is_current),
  parent: string('the VM snapshot that it was taken after', snapshot => snapshot.parent_id),
  parentName: string('the name of that one', snapshot => snapshot.parent_name),
  created: date('when it was taken', snapshot => snapshot.created),
  virtualmachineid: string('its machine', snapshot => snapshot.vm_id),
  virtualmachinename: string('the name of its machine', snapshot => snapshot.vm_name),
  zoneid: string('its zone', snapshot => snapshot.zone_id),
  zonename: string('the name of its zone', snapshot => snapshot.zone_name),
  hypervisor: string('the hypervisor it is for', snapshot => snapshot.hypervisor),
  account: string('the account that owns it', snapshot => snapshot.account_name),
  domain: string('the domain of its account', snapshot => snapshot.domain_name),
  domainid: string('the id of that domain', snapshot => snapshot.domain_id),
  domainpath: string('the path of that domain', snapshot => pathOnWire(snapshot.domain_path)),
  stunms: float('milliseconds that the guest stood still', snapshot => snapshot.stun_ms),
  quiesceoutcome: string(
    "whether the guest's file systems were at rest, where that was asked for: quiesced, agent-missing, failed",
    snapshot => snapshot.quiesce,
  ),
  memorybytes: long('bytes that its memory takes on primary storage', snapshot => snapshot.memory_bytes),
  memoryfits: string('what its memory was made with, and goes on with', snapshot => snapshot.memory_shape),
  seedstate: string(
    'Creating or Ready: the copy of its root disk that machines are cloned from; absent when there is none',
    snapshot => snapshot.seed_state,
  ),
  error: string('why it failed', snapshot => snapshot.error),
  warning: string('that the machine has many of them', snapshot => warning(snapshot.count, snapshot.most)),
  tags: nested('its tags', tagView, snapshot => snapshot.tags),
  jobid: string('the job at work on it', snapshot => snapshot.job_id),
  jobstatus: integer('0 while that job is at work', snapshot => (snapshot.job_id ? 0 : undefined)),
}

export const listedVmSnapshotView = view<VmSnapshotOnWire>('vmSnapshot', fields)
export const vmSnapshotView = view<VmSnapshotOnWire>('vmsnapshot', fields)
