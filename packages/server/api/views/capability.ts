// What this installation can and allows, on the wire.
import type { Settings } from '../../settings.ts'
import { cloudstackVersion } from '../envelope.ts'
import { boolean, long, string, view } from '../view.ts'

const no = () => false

export const capabilityView = view<Settings>('capability', {
  cloudstackversion: string('the CloudStack version whose API is spoken', () => cloudstackVersion),
  securitygroupsenabled: boolean('whether security groups work', no),
  dynamicrolesenabled: boolean('whether roles can be made', no),
  supportELB: string('whether elastic load balancers work', () => 'false'),
  userpublictemplateenabled: boolean('whether users may publish templates', () => true),
  projectinviterequired: boolean('whether projects invite', no),
  allowusercreateprojects: boolean('whether users may make projects', no),
  customdiskofferingminsize: long('least GiB of a disk whose size is given', () => 1),
  customdiskofferingmaxsize: long('most GiB of a disk whose size is given', () => 1024 * 1024),
  defaultuipagesize: long('the most entries one page of a list holds', settings =>
    settings.number('default.page.size'),
  ),
  regionsecondaryenabled: boolean('whether a region shares secondary storage', no),
  kvmsnapshotenabled: boolean('whether disks of running machines are snapshotted', () => true),
  snapshotshowchainsize: boolean('whether sizes of snapshot chains are shown', no),
  allowuserviewdestroyedvm: boolean('whether users see destroyed machines', no),
  allowuserexpungerecovervm: boolean('whether users expunge and recover machines', no),
  allowuserexpungerecovervolume: boolean('whether users expunge and recover volumes', no),
  allowuserviewalldomainaccounts: boolean('whether users see other accounts', no),
  allowuserforcestopvm: boolean('whether users may force a stop', () => true),
  kubernetesserviceenabled: boolean('whether Kubernetes clusters can be made', no),
  dynamicscalingenabled: boolean('whether machines change CPUs and memory while they run', no),
})
