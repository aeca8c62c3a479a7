// Our part of what cloud-init is told at a machine's first boot: its keys and its password.
import type { FirstBoot } from './driver.ts'

export function cloudConfig({ sshKeys, passwordHash }: FirstBoot): Buffer {
  const password = passwordHash ? { password: passwordHash, chpasswd: { expire: false }, ssh_pwauth: true } : {}
  const config = { ...(sshKeys.length > 0 ? { ssh_authorized_keys: sshKeys } : {}), ...password }
  return Buffer.from(`#cloud-config\n${JSON.stringify(config)}\n`)
}
