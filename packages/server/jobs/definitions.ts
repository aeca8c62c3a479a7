// Every kind of job that this server can run, and so can take over from another.
import { addNic } from './add-nic.ts'
import { associateIp } from './associate-ip.ts'
import { adoptTemplate } from './adopt-template.ts'
import { attachVolume } from './attach-volume.ts'
import { changeAffinityGroup } from './change-affinity-group.ts'
import { changeCards } from './change-cards.ts'
import { attachIso, detachIso } from './change-iso.ts'
import { changeVm } from './change-vm.ts'
import { cloneVms } from './clone-vms.ts'
import { consolidateVm } from './consolidate-vm.ts'
import { convertVm } from './convert-vm.ts'
import { createPortForwarding } from './create-port-forwarding.ts'
import { createSnapshot } from './create-snapshot.ts'
import { createVmSnapshot } from './create-vm-snapshot.ts'
import { createVolumeFromSnapshot } from './create-volume-from-snapshot.ts'
import { createVolume } from './create-volume.ts'
import { deleteAccount } from './delete-account.ts'
import { deleteDomain } from './delete-domain.ts'
import { deleteNetwork } from './delete-network.ts'
import { deletePortForwarding } from './delete-port-forwarding.ts'
import { deleteSnapshot } from './delete-snapshot.ts'
import { deleteTemplate } from './delete-template.ts'
import { deleteVmSnapshot } from './delete-vm-snapshot.ts'
import { deployVm } from './deploy-vm.ts'
import { destroyVm } from './destroy-vm.ts'
import { destroyVolume } from './destroy-volume.ts'
import { detachVolume } from './detach-volume.ts'
import { disableAccount } from './disable-account.ts'
import { disassociateIp } from './disassociate-ip.ts'
import { discardDisk } from './discard-disk.ts'
import { discardUpload } from './discard-upload.ts'
import { emptyHost } from './empty-host.ts'
import { expungeVm } from './expunge-vm.ts'
import { extractTemplate } from './extract-template.ts'
import { extractVolume } from './extract-volume.ts'
import { forkVm } from './fork-vm.ts'
import { freezeVm } from './freeze-vm.ts'
import { maintainPool } from './maintain-pool.ts'
import { makeTemplate } from './make-template.ts'
import { migrateVm } from './migrate-vm.ts'
import { migrateVolume } from './migrate-volume.ts'
import { prepareTemplate } from './prepare-template.ts'
import { rebootVm } from './reboot-vm.ts'
import { reconnectHost } from './reconnect-host.ts'
import { registerTemplate } from './register-template.ts'
import { removeLayer } from './remove-layer.ts'
import { removeMemory } from './remove-memory.ts'
import { removeNic } from './remove-nic.ts'
import { reopenHost } from './reopen-host.ts'
import { reopenPool } from './reopen-pool.ts'
import { resizeVolume } from './resize-volume.ts'
import { restartNetwork } from './restart-network.ts'
import { restoreVm } from './restore-vm.ts'
import { revertSnapshot } from './revert-snapshot.ts'
import { revertToVmSnapshot } from './revert-to-vm-snapshot.ts'
import { revertVm } from './revert-vm.ts'
import { seedVmSnapshot } from './seed-vm-snapshot.ts'
import { snapshotVm } from './snapshot-vm.ts'
import { spawnVm } from './spawn-vm.ts'
import { startVm } from './start-vm.ts'
import { stopVm } from './stop-vm.ts'
import { createTags, deleteTags } from './tags.ts'
import { unfreezeVm } from './unfreeze-vm.ts'
import { updateDefaultNic } from './update-default-nic.ts'
import { updateNetwork } from './update-network.ts'
import { updatePortForwarding } from './update-port-forwarding.ts'
import { updateVolume } from './update-volume.ts'
import { uploadVolume } from './upload-volume.ts'
import type { JobDefinition } from './define-job.ts'

export const definitions: readonly JobDefinition[] = [
  addNic,
  associateIp,
  adoptTemplate,
  attachIso,
  attachVolume,
  changeAffinityGroup,
  changeCards,
  changeVm,
  cloneVms,
  consolidateVm,
  convertVm,
  createPortForwarding,
  createSnapshot,
  createTags,
  createVmSnapshot,
  createVolume,
  createVolumeFromSnapshot,
  deleteAccount,
  deleteDomain,
  deleteNetwork,
  deletePortForwarding,
  deleteSnapshot,
  deleteTags,
  deleteTemplate,
  deleteVmSnapshot,
  deployVm,
  destroyVm,
  destroyVolume,
  detachIso,
  detachVolume,
  disableAccount,
  disassociateIp,
  discardDisk,
  discardUpload,
  emptyHost,
  expungeVm,
  extractTemplate,
  extractVolume,
  forkVm,
  freezeVm,
  maintainPool,
  makeTemplate,
  migrateVm,
  migrateVolume,
  prepareTemplate,
  rebootVm,
  reconnectHost,
  registerTemplate,
  removeLayer,
  removeMemory,
  removeNic,
  reopenHost,
  reopenPool,
  resizeVolume,
  restartNetwork,
  restoreVm,
  revertSnapshot,
  revertToVmSnapshot,
  revertVm,
  seedVmSnapshot,
  snapshotVm,
  spawnVm,
  startVm,
  stopVm,
  unfreezeVm,
  updateDefaultNic,
  updateNetwork,
  updatePortForwarding,
  updateVolume,
  uploadVolume,
]
