// The NoCloud seed: the volume on which cloud-init, and `tiny`, find out who they are.
// https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
import { cloudConfig } from '../../cloud-config.ts'
import type { FirstBoot } from '../../driver.ts'
import { isoVolume } from './iso9660.ts'

/**
 * Without user data of the user's own, ours is the user data. Beside the user's it is vendor data, which cloud-init applies
 * under it: the user's word wins, and the password and keys of the deploy call still come to pass.
 */
export function seedVolume(firstBoot: FirstBoot): Buffer {
  const { instanceId, hostname, sshKeys, userData } = firstBoot
  const meta = { 'instance-id': instanceId, 'local-hostname': hostname, 'public-keys': sshKeys }
  const ours = cloudConfig(firstBoot)
  return isoVolume('cidata', [
    { name: 'meta-data', bytes: Buffer.from(`${JSON.stringify(meta)}\n`) }, // JSON is YAML
    { name: 'user-data', bytes: userData ?? ours },
    ...(userData ? [{ name: 'vendor-data', bytes: ours }] : []),
  ])
}
