// A volume snapshot on the wire.
import type { ListedSnapshot } from '../../store/snapshots.ts'
import { boolean, date, integer, long, nested, string, view } from '../view.ts'
import { pathOnWire } from './domain.ts'
import { tagView } from './tag.ts'

export const snapshotView = view<ListedSnapshot>('snapshot', {
  id: string('the id of the snapshot', snapshot => snapshot.id),
  name: string('its name', snapshot => snapshot.name),
  state: string('Allocated, Creating, BackingUp, BackedUp, Destroying, Error', snapshot => snapshot.state),
  status: string('the same', snapshot => snapshot.state),
  created: date('when it was made', snapshot => snapshot.created),
  snapshottype: string('MANUAL', () => 'MANUAL'),
  intervaltype: string('MANUAL', () => 'MANUAL'),
  locationtype: string('secondary', () => 'SECONDARY'),
  physicalsize: long('bytes of its file', snapshot => snapshot.physical_bytes),
  virtualsize: long('bytes that a guest sees', snapshot => snapshot.virtual_bytes),
  revertable: boolean('whether its volume can be brought back to it', snapshot => snapshot.state === 'BackedUp'),
  volumeid: string('its volume', snapshot => snapshot.volume_id),
  volumename: string('the name of its volume', snapshot => snapshot.volume_name),
  volumetype: string('ROOT or DATADISK', snapshot => snapshot.volume_type),
  volumestate: string('the state of its volume', snapshot => snapshot.volume_state),
  vmsnapshotid: string('the VM snapshot whose disk it was made of', snapshot => snapshot.vm_snapshot_id),
  quiesceoutcome: string(
    "whether the guest's file systems were at rest, where that was asked for: quiesced, agent-missing, failed",
    snapshot => snapshot.quiesce,
  ),
  error: string('why it failed', snapshot => snapshot.error),
  zoneid: string('its zone', snapshot => snapshot.zone_id),
  zonename: string('the name of its zone', snapshot => snapshot.zone_name),
  datastoreid: string('the secondary storage that has it', snapshot => snapshot.image_store_id),
  datastorename: string('the name of that storage', snapshot => snapshot.store_name),
  datastoretype: string('Image', () => 'Image'),
  account: string('the account that owns it', snapshot => snapshot.account_name),
  domain: string('the domain of its account', snapshot => snapshot.domain_name),
  domainid: string('the id of that domain', snapshot => snapshot.domain_id),
  domainpath: string('the path of that domain', snapshot => pathOnWire(snapshot.domain_path)),
  tags: nested('its tags', tagView, snapshot => snapshot.tags),
  jobid: string('the job at work on it', snapshot => snapshot.job_id),
  jobstatus: integer('0 while that job is at work', snapshot => (snapshot.job_id ? 0 : undefined)),
})
