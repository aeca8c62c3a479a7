// What a guest is told at its first boot, as cloud-init reads it from VMware's tools: guestinfo.metadata, userdata and vendordata.
// https://cloudinit.readthedocs.io/en/latest/reference/datasources/vmware.html
import { cloudConfig } from '../cloud-config.ts'
import type { FirstBoot } from '../driver.ts'
import type { GuestInfo } from './clone-spec.ts'

export function firstBootInfo(firstBoot: FirstBoot): GuestInfo {
  const { instanceId, hostname, sshKeys, userData } = firstBoot
  const meta = { 'instance-id': instanceId, 'local-hostname': hostname, 'public-keys': sshKeys }
  const ours = cloudConfig(firstBoot)
  return {
    ...encoded('metadata', Buffer.from(JSON.stringify(meta))),
    ...encoded('userdata', userData ?? ours),
    ...(userData ? encoded('vendordata', ours) : {}),
  }
}

function encoded(name: string, bytes: Uint8Array): GuestInfo {
  return { [name]: Buffer.from(bytes).toString('base64'), [`${name}.encoding`]: 'base64' }
}
