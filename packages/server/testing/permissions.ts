// Who may call what: for every command either that its caller's role decides alone, or which thing, account or list of an
// owner it is about. A command without an entry here fails the test of permissions (api/permissions.test.ts).
import { newId } from '@ramet/core/ids.ts'
import type { Given } from './call.ts'
import type { Things } from './realm.ts'

export type Expectation =
  /** Only the role decides. */
  | { readonly open: 'all' | 'domain-admins' | 'admins' }
  /** Acts on a thing that an account owns. */
  | { readonly on: (things: Things) => Given; readonly only?: 'domain-admins' }
  /** Acts for the account that `account` and `domainid` name. */
  | { readonly for: (things: Things) => Given; readonly only?: 'domain-admins' }
  /** Lists things that accounts own; the field tells which. */
  | { readonly lists: (things: Things) => string; readonly field?: string; readonly given?: Given }
  /** Acts on a domain; `above`: only for administrators of a domain above it. */
  | { readonly domain: (things: Things) => Given; readonly above?: boolean; readonly only?: 'domain-admins' }

const all = { open: 'all' } as const
const domainAdmins = { open: 'domain-admins' } as const
const admins = { open: 'admins' } as const
const onVm = (more: Given = {}) => ({ on: ({ vm }: Things) => ({ id: vm, ...more }) })
const onAccount = { on: ({ account }: Things) => ({ id: account }), only: 'domain-admins' } as const
const onUser = { on: ({ other }: Things) => ({ id: other }), only: 'domain-admins' } as const
export const newUser = () => ({ username: newId(), password: 'x', email: 'x', firstname: 'x', lastname: 'x' })
const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJkqpYdGFvxYnBmP2BcdcmzcFqVhYyVdEJ4hNQ3J0y7r'

export const expectations: Readonly<Record<string, Expectation | readonly Expectation[]>> = {
  addCluster: admins,
  addHost: admins,
  attachIso: [
    { on: ({ iso, vm }) => ({ id: iso, virtualmachineid: vm }) },
    { on: ({ vm }) => ({ id: '$iso', virtualmachineid: vm }) },
  ],
  cancelHostMaintenance: admins,
  cancelJob: { on: ({ job }) => ({ jobid: job }) },
  cancelStorageMaintenance: admins,
  changeServiceForVirtualMachine: onVm({ serviceofferingid: '$offering' }),
  cloudianIsEnabled: all,
  createAccount: {
    domain: ({ domain }) => ({ domainid: domain, accounttype: 0, ...newUser() }),
    only: 'domain-admins',
  },
  createAffinityGroup: { for: () => ({ name: newId(), type: 'host affinity' }) },
  createDiskOffering: admins,
  createDomain: { domain: ({ domain }) => ({ parentdomainid: domain, name: newId() }), only: 'domain-admins' },
  createInstanceGroup: { for: () => ({ name: newId() }) },
  createPod: admins,
  createSSHKeyPair: { for: () => ({ name: newId() }) },
  createServiceOffering: admins,
  createStoragePool: admins,
  createTags: {
    on: ({ vm }) => ({ resourcetype: 'UserVm', resourceids: vm, 'tags[0].key': 'k', 'tags[0].value': 'v' }),
  },
  createUser: { for: newUser, only: 'domain-admins' },
  createZone: admins,
  deleteAccount: onAccount,
  deleteAffinityGroup: { on: ({ affinity }) => ({ id: affinity }) },
  deleteCluster: admins,
  deleteDiskOffering: admins,
  deleteDomain: { domain: ({ domain }) => ({ id: domain }), above: true, only: 'domain-admins' },
  deleteHost: admins,
  deleteInstanceGroup: { on: ({ group }) => ({ id: group }) },
  deleteIso: { on: ({ iso }) => ({ id: iso }) },
  deletePod: admins,
  deleteSSHKeyPair: { for: ({ key }) => ({ name: key }) },
  deleteServiceOffering: admins,
  deleteStoragePool: admins,
  deleteTags: { on: ({ vm }) => ({ resourcetype: 'UserVm', resourceids: vm }) },
  deleteTemplate: { on: ({ template }) => ({ id: template }) },
  deleteUser: onUser,
  deleteZone: admins,
  deployVirtualMachine: { for: () => ({ zoneid: '$zone', serviceofferingid: '$offering', templateid: '$template' }) },
  destroyVirtualMachine: onVm(),
  detachIso: { on: ({ vm }) => ({ virtualmachineid: vm }) },
  disableAccount: onAccount,
  disableUser: onUser,
  enableAccount: onAccount,
  enableStorageMaintenance: admins,
  enableUser: onUser,
  expungeVirtualMachine: onVm(),
  extractIso: { on: ({ iso }) => ({ id: iso, mode: 'HTTP_DOWNLOAD' }) },
  extractTemplate: { on: ({ template }) => ({ id: template, mode: 'HTTP_DOWNLOAD' }) },
  findHostsForMigration: admins,
  getConsoleLog: onVm(),
  getUser: admins,
  getUserKeys: { on: ({ user }) => ({ id: user }) },
  listAccounts: { lists: ({ account }) => account },
  listAffinityGroupTypes: all,
  listAffinityGroups: { lists: ({ affinity }) => affinity },
  listAlerts: all,
  listApis: all,
  listAsyncJobs: { lists: ({ job }) => job, field: 'jobid' },
  listCapabilities: all,
  listClusters: admins,
  listConfigurations: admins,
  listDiskOfferings: all,
  listDomainChildren: { domain: ({ domain }) => ({ id: domain }) },
  listDomains: all,
  listEventTypes: all,
  listEvents: { lists: ({ event }) => event },
  listHosts: admins,
  listHypervisors: all,
  listImageStores: admins,
  listInfrastructure: admins,
  listInstanceGroups: { lists: ({ group }) => group },
  listIsos: { lists: ({ iso }) => iso, given: { isofilter: 'executable' } },
  listLdapConfigurations: all,
  listManagementServers: admins,
  listNetworkOfferings: all,
  listNetworks: all,
  listOsCategories: all,
  listOsTypes: all,
  listPods: admins,
  listProjects: all,
  listResourceLimits: { for: () => ({}) },
  listRoles: domainAdmins,
  listSSHKeyPairs: { lists: ({ key }) => key },
  listSecurityGroups: all,
  listServiceOfferings: all,
  listStoragePools: admins,
  listTags: { lists: ({ vm }) => vm, field: 'resourceid' },
  listTemplates: [
    { lists: ({ template }) => template, given: { templatefilter: 'executable' } },
    { lists: ({ template }) => template, given: { templatefilter: 'self' } },
  ],
  listUsers: { lists: ({ other }) => other },
  listVPCs: all,
  listVirtualMachines: { lists: ({ vm }) => vm },
  listVolumes: { lists: ({ volume }) => volume },
  listZones: all,
  lockAccount: onAccount,
  lockUser: onUser,
  migrateVirtualMachine: admins,
  prepareHostForMaintenance: admins,
  prepareTemplate: admins,
  queryAsyncJobResult: { on: ({ job }) => ({ jobid: job }) },
  quotaIsEnabled: all,
  rebootVirtualMachine: onVm(),
  reconnectHost: admins,
  recoverVirtualMachine: onVm(),
  registerIso: { for: () => ({ name: 'x', url: 'http://127.0.0.1:9/x', zoneid: '$zone' }) },
  registerSSHKeyPair: { for: () => ({ name: newId(), publickey: publicKey }) },
  registerTemplate: {
    for: () => ({ name: 'x', format: 'RAW', hypervisor: 'Any', url: 'http://127.0.0.1:9/x', zoneid: '$zone' }),
  },
  registerUserKeys: { on: ({ user }) => ({ id: user }) },
  resetConfiguration: admins,
  resetPasswordForVirtualMachine: onVm(),
  resetSSHKeyForVirtualMachine: onVm({ keypair: newId() }),
  retryJob: { on: ({ job }) => ({ jobid: job }) },
  scaleVirtualMachine: onVm({ serviceofferingid: '$offering' }),
  startVirtualMachine: onVm(),
  stopVirtualMachine: onVm(),
  updateAccount: { on: ({ account }) => ({ id: account, networkdomain: 'x' }), only: 'domain-admins' },
  updateCluster: admins,
  updateConfiguration: admins,
  updateDomain: { domain: ({ domain }) => ({ id: domain, networkdomain: 'x' }), above: true, only: 'domain-admins' },
  updateHost: admins,
  updateInstanceGroup: { on: ({ group }) => ({ id: group, name: newId() }) },
  updateIso: { on: ({ iso }) => ({ id: iso, displaytext: 'x' }) },
  updatePod: admins,
  updateResourceCount: { for: () => ({}), only: 'domain-admins' },
  updateResourceLimit: { for: () => ({ resourcetype: 0, max: 7 }), only: 'domain-admins' },
  updateServiceOffering: admins,
  updateStoragePool: admins,
  updateTemplate: { on: ({ template }) => ({ id: template, displaytext: 'x' }) },
  updateUser: { on: ({ user }) => ({ id: user, timezone: 'UTC' }) },
  updateVMAffinityGroup: onVm(),
  updateVirtualMachine: onVm({ displayname: 'x' }),
  updateZone: admins,
}
