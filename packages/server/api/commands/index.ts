// Every command of the API, by name. A command that is not here does not exist: not for listApis, not for the door.
import type { Command } from '../command.ts'
import { listAlerts, listLdapConfigurations, listProjects, listSecurityGroups, listVPCs } from './absent-lists.ts'
import { addCluster } from './add-cluster.ts'
import { addHost } from './add-host.ts'
import { addImageStore } from './add-image-store.ts'
import { addNicToVirtualMachine } from './add-nic-to-virtual-machine.ts'
import { associateIpAddress } from './associate-ip-address.ts'
import { attachIso } from './attach-iso.ts'
import { attachVolume } from './attach-volume.ts'
import { cancelHostMaintenance } from './cancel-host-maintenance.ts'
import { cancelJob } from './cancel-job.ts'
import { cancelStorageMaintenance } from './cancel-storage-maintenance.ts'
import { changeServiceForVirtualMachine } from './change-service-for-virtual-machine.ts'
import { cloneVirtualMachine } from './clone-virtual-machine.ts'
import { cloudianIsEnabled } from './cloudian-is-enabled.ts'
import { consolidateVirtualMachine } from './consolidate-virtual-machine.ts'
import { convertVirtualMachineToFullClone } from './convert-virtual-machine-to-full-clone.ts'
import { createAccount } from './create-account.ts'
import { createAffinityGroup } from './create-affinity-group.ts'
import { createDiskOffering } from './create-disk-offering.ts'
import { createDomain } from './create-domain.ts'
import { createInstanceGroup } from './create-instance-group.ts'
import { createNetworkOffering } from './create-network-offering.ts'
import { createNetwork } from './create-network.ts'
import { createPod } from './create-pod.ts'
import { createPortForwardingRule } from './create-port-forwarding-rule.ts'
import { createServiceOffering } from './create-service-offering.ts'
import { createSnapshot } from './create-snapshot.ts'
import { createSnapshotFromVMSnapshot } from './create-snapshot-from-vm-snapshot.ts'
import { createSSHKeyPair } from './create-ssh-key-pair.ts'
import { createStoragePool } from './create-storage-pool.ts'
import { createTags } from './create-tags.ts'
import { createTemplate } from './create-template.ts'
import { createUser } from './create-user.ts'
import { createVMSnapshot } from './create-vm-snapshot.ts'
import { createVolume } from './create-volume.ts'
import { createZone } from './create-zone.ts'
import { deleteAccount } from './delete-account.ts'
import { deleteAffinityGroup } from './delete-affinity-group.ts'
import { deleteCluster } from './delete-cluster.ts'
import { deleteDiskOffering } from './delete-disk-offering.ts'
import { deleteDomain } from './delete-domain.ts'
import { deleteHost } from './delete-host.ts'
import { deleteImageStore } from './delete-image-store.ts'
import { deleteInstanceGroup } from './delete-instance-group.ts'
import { deleteIso } from './delete-iso.ts'
import { deleteNetworkOffering } from './delete-network-offering.ts'
import { deleteNetwork } from './delete-network.ts'
import { deletePod } from './delete-pod.ts'
import { deletePortForwardingRule } from './delete-port-forwarding-rule.ts'
import { deleteServiceOffering } from './delete-service-offering.ts'
import { deleteSnapshot } from './delete-snapshot.ts'
import { deleteSSHKeyPair } from './delete-ssh-key-pair.ts'
import { deleteStoragePool } from './delete-storage-pool.ts'
import { deleteTags } from './delete-tags.ts'
import { deleteTemplate } from './delete-template.ts'
import { deleteUser } from './delete-user.ts'
import { deleteVMSnapshot } from './delete-vm-snapshot.ts'
import { deleteVolume } from './delete-volume.ts'
import { deleteZone } from './delete-zone.ts'
import { deployVirtualMachine } from './deploy-virtual-machine.ts'
import { destroyVirtualMachine } from './destroy-virtual-machine.ts'
import { destroyVolume } from './destroy-volume.ts'
import { detachIso } from './detach-iso.ts'
import { detachVolume } from './detach-volume.ts'
import { disableAccount } from './disable-account.ts'
import { disassociateIpAddress } from './disassociate-ip-address.ts'
import { enableAccount } from './enable-account.ts'
import { enableStorageMaintenance } from './enable-storage-maintenance.ts'
import { expungeVirtualMachine } from './expunge-virtual-machine.ts'
import { extractIso } from './extract-iso.ts'
import { extractTemplate } from './extract-template.ts'
import { extractVolume } from './extract-volume.ts'
import { findHostsForMigration } from './find-hosts-for-migration.ts'
import { findStoragePoolsForMigration } from './find-storage-pools-for-migration.ts'
import { freezeVirtualMachine } from './freeze-virtual-machine.ts'
import { getConsoleLog } from './get-console-log.ts'
import { getUser } from './get-user.ts'
import { getUserKeys } from './get-user-keys.ts'
import { listAccounts } from './list-accounts.ts'
import { listAffinityGroupTypes } from './list-affinity-group-types.ts'
import { listAffinityGroups } from './list-affinity-groups.ts'
import { listApis } from './list-apis.ts'
import { listAsyncJobs } from './list-async-jobs.ts'
import { listCapabilities } from './list-capabilities.ts'
import { listCapacity } from './list-capacity.ts'
import { listClusters } from './list-clusters.ts'
import { listConfigurations } from './list-configurations.ts'
import { listDiskOfferings } from './list-disk-offerings.ts'
import { listDomainChildren } from './list-domain-children.ts'
import { listDomains } from './list-domains.ts'
import { listEventTypes } from './list-event-types.ts'
import { listEvents } from './list-events.ts'
import { listHosts } from './list-hosts.ts'
import { listHypervisorCapabilities } from './list-hypervisor-capabilities.ts'
import { listHypervisors } from './list-hypervisors.ts'
import { listImageStores } from './list-image-stores.ts'
import { listInfrastructure } from './list-infrastructure.ts'
import { listInstanceGroups } from './list-instance-groups.ts'
import { listIsoPermissions } from './list-iso-permissions.ts'
import { listIsos } from './list-isos.ts'
import { listManagementServers } from './list-management-servers.ts'
import { listNetworkOfferings } from './list-network-offerings.ts'
import { listNetworks } from './list-networks.ts'
import { listNics } from './list-nics.ts'
import { listOsCategories } from './list-os-categories.ts'
import { listOsTypes } from './list-os-types.ts'
import { listPods } from './list-pods.ts'
import { listPortForwardingRules } from './list-port-forwarding-rules.ts'
import { listPublicIpAddresses } from './list-public-ip-addresses.ts'
import { listResourceLimits } from './list-resource-limits.ts'
import { listRoles } from './list-roles.ts'
import { listServiceOfferings } from './list-service-offerings.ts'
import { listSnapshots } from './list-snapshots.ts'
import { listSSHKeyPairs } from './list-ssh-key-pairs.ts'
import { listStoragePools } from './list-storage-pools.ts'
import { listTags } from './list-tags.ts'
import { listTemplatePermissions } from './list-template-permissions.ts'
import { listTemplates } from './list-templates.ts'
import { listUnmanagedInstances } from './list-unmanaged-instances.ts'
import { listUsers } from './list-users.ts'
import { listVirtualMachines } from './list-virtual-machines.ts'
import { listVMSnapshot } from './list-vm-snapshot.ts'
import { listVolumes } from './list-volumes.ts'
import { listZones } from './list-zones.ts'
import { lockAccount } from './lock-account.ts'
import {
  listClustersMetrics,
  listHostsMetrics,
  listManagementServersMetrics,
  listStoragePoolsMetrics,
  listVirtualMachinesMetrics,
  listVolumesMetrics,
  listZonesMetrics,
} from './metrics.ts'
import { migrateVirtualMachine } from './migrate-virtual-machine.ts'
import { migrateVolume } from './migrate-volume.ts'
import { prepareHostForMaintenance } from './prepare-host-for-maintenance.ts'
import { prepareTemplate } from './prepare-template.ts'
import { queryAsyncJobResult } from './query-async-job-result.ts'
import { quotaIsEnabled } from './quota-is-enabled.ts'
import { rebootVirtualMachine } from './reboot-virtual-machine.ts'
import { reconnectHost } from './reconnect-host.ts'
import { recoverVirtualMachine } from './recover-virtual-machine.ts'
import { recoverVolume } from './recover-volume.ts'
import { registerIso } from './register-iso.ts'
import { registerSSHKeyPair } from './register-ssh-key-pair.ts'
import { registerTemplate } from './register-template.ts'
import { registerUserKeys } from './register-user-keys.ts'
import { removeNicFromVirtualMachine } from './remove-nic-from-virtual-machine.ts'
import { resetConfiguration } from './reset-configuration.ts'
import { resetPasswordForVirtualMachine } from './reset-password-for-virtual-machine.ts'
import { resetSSHKeyForVirtualMachine } from './reset-ssh-key-for-virtual-machine.ts'
import { resizeVolume } from './resize-volume.ts'
import { restartNetwork } from './restart-network.ts'
import { restoreVirtualMachine } from './restore-virtual-machine.ts'
import { retryJob } from './retry-job.ts'
import { revertSnapshot } from './revert-snapshot.ts'
import { revertToVMSnapshot } from './revert-to-vm-snapshot.ts'
import { scaleVirtualMachine } from './scale-virtual-machine.ts'
import { startVirtualMachine } from './start-virtual-machine.ts'
import { stopVirtualMachine } from './stop-virtual-machine.ts'
import { unfreezeVirtualMachine } from './unfreeze-virtual-machine.ts'
import { updateAccount } from './update-account.ts'
import { updateCluster } from './update-cluster.ts'
import { updateConfiguration } from './update-configuration.ts'
import { updateDefaultNicForVirtualMachine } from './update-default-nic-for-virtual-machine.ts'
import { updateDomain } from './update-domain.ts'
import { updateHost } from './update-host.ts'
import { updateHypervisorCapabilities } from './update-hypervisor-capabilities.ts'
import { updateImageStore } from './update-image-store.ts'
import { updateInstanceGroup } from './update-instance-group.ts'
import { updateIso } from './update-iso.ts'
import { updateIsoPermissions } from './update-iso-permissions.ts'
import { updateNetworkOffering } from './update-network-offering.ts'
import { updateNetwork } from './update-network.ts'
import { updatePod } from './update-pod.ts'
import { updatePortForwardingRule } from './update-port-forwarding-rule.ts'
import { updateResourceCount } from './update-resource-count.ts'
import { updateResourceLimit } from './update-resource-limit.ts'
import { updateServiceOffering } from './update-service-offering.ts'
import { updateStoragePool } from './update-storage-pool.ts'
import { updateTemplate } from './update-template.ts'
import { updateTemplatePermissions } from './update-template-permissions.ts'
import { updateUser } from './update-user.ts'
import { updateVirtualMachine } from './update-virtual-machine.ts'
import { updateVMAffinityGroup } from './update-vm-affinity-group.ts'
import { updateVolume } from './update-volume.ts'
import { updateZone } from './update-zone.ts'
import { uploadVolume } from './upload-volume.ts'
import { disableUser, enableUser, lockUser } from './user-states.ts'

export const commands: readonly Command[] = [
  addCluster,
  addHost,
  addImageStore,
  addNicToVirtualMachine,
  associateIpAddress,
  attachIso,
  attachVolume,
  cancelHostMaintenance,
  cancelJob,
  cancelStorageMaintenance,
  changeServiceForVirtualMachine,
  cloneVirtualMachine,
  cloudianIsEnabled,
  consolidateVirtualMachine,
  convertVirtualMachineToFullClone,
  createAccount,
  createAffinityGroup,
  createDiskOffering,
  createDomain,
  createInstanceGroup,
  createNetwork,
  createNetworkOffering,
  createPod,
  createPortForwardingRule,
  createServiceOffering,
  createSnapshot,
  createSnapshotFromVMSnapshot,
  createSSHKeyPair,
  createStoragePool,
  createTags,
  createTemplate,
  createUser,
  createVMSnapshot,
  createVolume,
  createZone,
  deleteAccount,
  deleteAffinityGroup,
  deleteCluster,
  deleteDiskOffering,
  deleteDomain,
  deleteHost,
  deleteImageStore,
  deleteInstanceGroup,
  deleteIso,
  deleteNetwork,
  deleteNetworkOffering,
  deletePod,
  deletePortForwardingRule,
  deleteServiceOffering,
  deleteSnapshot,
  deleteSSHKeyPair,
  deleteStoragePool,
  deleteTags,
  deleteTemplate,
  deleteUser,
  deleteVMSnapshot,
  deleteVolume,
  deleteZone,
  deployVirtualMachine,
  destroyVirtualMachine,
  destroyVolume,
  detachIso,
  detachVolume,
  disableAccount,
  disableUser,
  disassociateIpAddress,
  enableAccount,
  enableStorageMaintenance,
  enableUser,
  expungeVirtualMachine,
  extractIso,
  extractTemplate,
  extractVolume,
  findHostsForMigration,
  findStoragePoolsForMigration,
  freezeVirtualMachine,
  getConsoleLog,
  getUser,
  getUserKeys,
  listAccounts,
  listAffinityGroups,
  listAffinityGroupTypes,
  listAlerts,
  listApis,
  listAsyncJobs,
  listCapabilities,
  listCapacity,
  listClusters,
  listClustersMetrics,
  listConfigurations,
  listDiskOfferings,
  listDomainChildren,
  listDomains,
  listEvents,
  listEventTypes,
  listHosts,
  listHostsMetrics,
  listHypervisorCapabilities,
  listHypervisors,
  listImageStores,
  listInfrastructure,
  listInstanceGroups,
  listIsoPermissions,
  listIsos,
  listLdapConfigurations,
  listManagementServers,
  listManagementServersMetrics,
  listNetworkOfferings,
  listNetworks,
  listNics,
  listOsCategories,
  listOsTypes,
  listPods,
  listPortForwardingRules,
  listProjects,
  listPublicIpAddresses,
  listResourceLimits,
  listRoles,
  listSecurityGroups,
  listServiceOfferings,
  listSnapshots,
  listSSHKeyPairs,
  listStoragePools,
  listStoragePoolsMetrics,
  listTags,
  listTemplatePermissions,
  listTemplates,
  listUnmanagedInstances,
  listUsers,
  listVirtualMachines,
  listVirtualMachinesMetrics,
  listVMSnapshot,
  listVolumes,
  listVolumesMetrics,
  listVPCs,
  listZones,
  listZonesMetrics,
  lockAccount,
  lockUser,
  migrateVirtualMachine,
  migrateVolume,
  prepareHostForMaintenance,
  prepareTemplate,
  queryAsyncJobResult,
  quotaIsEnabled,
  rebootVirtualMachine,
  reconnectHost,
  recoverVirtualMachine,
  recoverVolume,
  registerIso,
  registerSSHKeyPair,
  registerTemplate,
  registerUserKeys,
  removeNicFromVirtualMachine,
  resetConfiguration,
  resetPasswordForVirtualMachine,
  resetSSHKeyForVirtualMachine,
  resizeVolume,
  restartNetwork,
  restoreVirtualMachine,
  retryJob,
  revertSnapshot,
  revertToVMSnapshot,
  scaleVirtualMachine,
  startVirtualMachine,
  stopVirtualMachine,
  unfreezeVirtualMachine,
  updateAccount,
  updateCluster,
  updateConfiguration,
  updateDefaultNicForVirtualMachine,
  updateDomain,
  updateHost,
  updateHypervisorCapabilities,
  updateImageStore,
  updateInstanceGroup,
  updateIso,
  updateIsoPermissions,
  updateNetwork,
  updateNetworkOffering,
  updatePod,
  updatePortForwardingRule,
  updateResourceCount,
  updateResourceLimit,
  updateServiceOffering,
  updateStoragePool,
  updateTemplate,
  updateTemplatePermissions,
  updateUser,
  updateVirtualMachine,
  updateVMAffinityGroup,
  updateVolume,
  updateZone,
  uploadVolume,
]
