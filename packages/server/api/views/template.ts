// A template on the wire.
import type { ListedTemplate } from '../../store/template-list.ts'
import { boolean, date, forAdmins, integer, list, long, nested, string, view } from '../view.ts'
import { tagView } from './tag.ts'

export const templateView = view<ListedTemplate>('template', {
  id: string('the id of the template', template => template.id),
  name: string('its name', template => template.name),
  displaytext: string('its description', template => template.display_text),
  templatetype: string('USER', () => 'USER'),
  format: string('QCOW2, RAW, VMDK, VHDX or ISO', template => template.format),
  hypervisor: string('the hypervisor it is for', template => template.hypervisor),
  status: string('Download Complete when it is ready; else how far it is, or why it failed', statusOf),
  isready: boolean('whether machines can be made from it', isReady),
  size: long('bytes that a guest sees', template => template.virtual_bytes),
  physicalsize: long('bytes of its file', template => template.physical_bytes),
  created: date('when it was registered', template => template.created),
  removed: date('when it was deleted', template => template.removed),
  url: string('where it came from', template => template.url),
  checksum: string('the checksum it had to have', template => template.checksum),
  zoneid: string('its zone', template => template.zone_id),
  zonename: string('the name of its zone', template => template.zone_name),
  account: string('the account that owns it', template => template.account_name),
  accountid: string('the id of that account', template => template.account_id),
  domain: string('the domain of its account', template => template.domain_name),
  domainid: string('the id of that domain', template => template.domain_id),
  ostypeid: string('the guest operating system', template => template.os_type_id),
  ostypename: string('the name of that system', template => template.os_type_name),
  ispublic: boolean('whether everybody may use it', template => template.is_public),
  isfeatured: boolean('whether it is shown first', template => template.is_featured),
  isextractable: boolean('whether it can be downloaded', template => template.is_extractable),
  passwordenabled: boolean('whether deploying it makes a password', template => template.password_enabled),
  sshkeyenabled: boolean('whether it takes SSH keys', template => template.ssh_key_enabled),
  crossZones: boolean('whether it is in all zones', () => false),
  bootable: boolean('whether machines start from it', template => template.bootable),
  isdynamicallyscalable: boolean('whether its guests take CPUs and memory while they run', () => false),
  downloaddetails: forAdmins(list('its copies on primary storage', template => template.copies.map(copyOf))),
  jobid: string('the job at work on it', template => template.job_id),
  jobstatus: integer('0 while that job is at work', template => (template.job_id ? 0 : undefined)),
  tags: nested('its tags', tagView, template => template.tags),
})

function isReady({ state, download_state }: ListedTemplate): boolean {
  return state === 'Active' && download_state === 'DOWNLOADED'
}

function statusOf(template: ListedTemplate): string {
  if (isReady(template)) return 'Download Complete'
  if (template.download_state === 'DOWNLOAD_ERROR') return `Failed: ${template.error}`
  if (template.download_state === 'DOWNLOADED') return 'Deleting'
  return `${template.download_percent}% Downloaded`
}

function copyOf(copy: ListedTemplate['copies'][number]): Record<string, string> {
  return {
    datastoreId: copy.pool_id,
    datastore: copy.pool_name,
    downloadState: copy.download_state,
    downloadPercent: String(copy.download_pct),
    ...(copy.error_str && { error: copy.error_str }),
  }
}
