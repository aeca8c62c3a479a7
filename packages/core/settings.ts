// Every setting of the product: its name, default, scope and meaning. The database keeps only what was changed.
// Names and defaults are CloudStack's where it has them.

import { scheduleRefusal } from './cron.ts'
import { addressNumber } from './ipv4.ts'
import { namesIn } from './names.ts'
import { type DeployMode, deployModes } from './vm-snapshot.ts'

export type SettingType = 'Boolean' | 'Integer' | 'String'
export type SettingScope = 'Global' | 'StoragePool'

export interface Setting {
  readonly name: string
  readonly type: SettingType
  readonly value: string
  readonly scope: SettingScope
  readonly category: string
  readonly description: string
}

const fullClone = (prefix: string, hypervisor: string) =>
  ({
    name: `${prefix}.create.full.clone`,
    type: 'Boolean',
    value: 'false',
    scope: 'StoragePool',
    category: 'Storage',
    description: `Make full clones instead of linked clones on ${hypervisor}, where neither the call nor the offering says otherwise`,
  }) as const satisfies Setting

/** What the simulated hypervisor may be told to fail at. */
const simulatedCalls = [
  'layers.seed',
  'layers.fork',
  'layers.copy',
  'layers.blank',
  'layers.discard',
  'layers.merge',
  'machines.start',
  'machines.stop',
  'machines.migrate',
  'machines.cut',
  'machines.merge',
  'machines.discard',
]

export const settings = [
  fullClone('kvm', 'KVM'),
  fullClone('vmware', 'VMware'),
  fullClone('hyperv', 'Hyper-V'),
  setting('default.page.size', 'Integer', '500', 'Advanced', 'The most entries one page of a list holds'),
  setting('job.expire.minutes', 'Integer', '1440', 'Advanced', 'Minutes that the result of a finished job is kept'),
  setting('instance.name', 'String', 'VM', 'Advanced', 'Suffix of internal machine names, as in i-2-5-VM'),
  setting(
    'vm.stop.wait',
    'Integer',
    '60',
    'Advanced',
    'Seconds a guest may take to shut down before it is powered off',
  ),
  setting(
    'expunge.delay',
    'Integer',
    '86400',
    'Advanced',
    'Seconds after which a destroyed machine or volume is expunged, and until which it can be recovered',
  ),
  setting(
    'expunge.interval',
    'Integer',
    '86400',
    'Advanced',
    'Seconds between two looks for machines and volumes to expunge',
  ),
  setting(
    'allow.user.expunge.recover.vm',
    'Boolean',
    'false',
    'Advanced',
    'Let users expunge and recover their destroyed machines',
  ),
  setting(
    'allow.user.view.destroyed.vm',
    'Boolean',
    'false',
    'Advanced',
    'Show users their destroyed machines in lists',
  ),
  setting(
    'vm.userdata.max.length',
    'Integer',
    '32768',
    'Advanced',
    'The most bytes of user data, decoded, that a machine may have',
  ),
  setting('cpu.overprovisioning.factor', 'Integer', '8', 'Advanced', 'Virtual CPUs offered per CPU of a host'),
  setting(
    'pool.storage.reserve.percent',
    'Integer',
    '5',
    'Storage',
    'Share of a primary storage that no new disk may use',
  ),
  setting('max.template.iso.size', 'Integer', '50', 'Storage', 'Largest virtual size of a template, in GiB'),
  setting(
    'allow.register.local.path',
    'Boolean',
    'false',
    'Secure',
    'Let administrators register templates from files of this machine (file:// URLs)',
  ),
  setting(
    'allow.register.private.address',
    'Boolean',
    'false',
    'Secure',
    'Let templates be fetched from addresses of this machine and of private networks',
  ),
  setting(
    'extract.url.expiration.interval',
    'Integer',
    '14400',
    'Storage',
    'Seconds that an extracted template or volume can be downloaded',
  ),
  setting(
    'endpoint.url',
    'String',
    '',
    'Advanced',
    'Where users reach this server, such as https://cloud.example.org, for addresses it tells; empty: where it listens',
  ),
  setting(
    'guest.network.outward',
    'Boolean',
    'false',
    'Network',
    'Let guests open connections outwards. They are made by this machine, and so reach its own services and networks too',
  ),
  setting(
    'public.ip.addresses',
    'String',
    '127.0.0.1',
    'Network',
    'Addresses of this machine that networks are reached by, separated by commas. Whoever reaches one reaches what rules for forwarding ports lead to',
  ),
  simulated('start.ms', 'Integer', '0', 'Milliseconds that a machine takes to start'),
  simulated('stop.ms', 'Integer', '0', 'Milliseconds that a running machine takes to stop'),
  simulated('migrate.ms', 'Integer', '0', 'Milliseconds that a migration takes'),
  simulated('copy.mibps', 'Integer', '0', 'MiB a second at which whole disks are copied; 0: at once'),
  simulated('failure.percent', 'Integer', '0', 'How many of the calls that make or move something fail'),
  simulated('failure.seed', 'Integer', '1', 'Decides which of them fail: the same seed, the same calls'),
  simulated(
    'fail.next',
    'String',
    '',
    `Calls that fail once, separated by commas; one that stands here twice fails twice. There are ${simulatedCalls.join(', ')}`,
  ),
  simulated('hosts.down', 'String', '', 'Names of hosts that are down, separated by commas'),
  setting('session.timeout', 'Integer', '1800', 'Secure', 'Seconds without a call after which a login session ends'),
  setting('vmsnapshot.max', 'Integer', '10', 'Advanced', 'The most VM snapshots that a machine may have'),
  setting(
    'vmsnapshot.revert.change.state',
    'Boolean',
    'true',
    'Advanced',
    'Let a revert start a stopped machine (to a VM snapshot with memory) or stop a running one (to one without); false refuses that',
  ),
  setting(
    'vmsnapshot.keep.until.expunge',
    'Boolean',
    'false',
    'Advanced',
    'Keep the VM snapshots of a destroyed machine until it is expunged, so that recovering it brings them back',
  ),
  setting(
    'vmsnapshot.offering.change',
    'String',
    'discard',
    'Advanced',
    'What another service offering means for the VM snapshots of a machine. discard: those with memory go; refuse: the change is refused; restore: a revert puts the old offering back',
  ),
  {
    name: 'vmsnapshot.deploy.mode',
    type: 'String',
    value: 'seed',
    scope: 'StoragePool',
    category: 'Storage',
    description:
      'How machines are made from a VM snapshot as linked clones. seed: of a flat copy of its root disk, made once, so that chains stay short; direct: right on its disk, which needs no copy and makes chains longer',
  },
  setting(
    'instantclone.memory.percent',
    'Integer',
    '20',
    'Advanced',
    'Share of its memory that an instant clone counts on its host while it runs: it holds what it writes, and reads the rest from what its source had; 100: all of it',
  ),
  setting(
    'instantclone.delta.threshold',
    'Integer',
    '200',
    'Advanced',
    'So many disks of clones may stand on what a running source wrote. Beyond, instant clones are made of one instant that is kept (instantclone.delta.switch), events advise to freeze the source, and it is consolidated by schedule even where others read its layers',
  ),
  setting(
    'instantclone.delta.switch',
    'Boolean',
    'true',
    'Advanced',
    'Beyond instantclone.delta.threshold, instant clones of a running source are made of one instant of it that is kept, and show it as it was then; false: each call holds a new one, up to what the hypervisor takes',
  ),
  setting(
    'instantclone.warm.memory',
    'Integer',
    '512',
    'Advanced',
    'MiB that processes may take which wait for instant clones of what was cloned lately, 25 each; 0: none wait',
  ),
  setting(
    'instantclone.warm.most',
    'Integer',
    '10',
    'Advanced',
    'The most processes that wait for instant clones of one machine or VM snapshot',
  ),
  setting('vm.clone.max.count', 'Integer', '200', 'Advanced', 'The most clones that one call may ask for'),
  setting(
    'consolidation.schedule',
    'String',
    '0 3 * * *',
    'Advanced',
    'When disks of machines are consolidated: minute, hour, day of the month, month and day of the week, in UTC; empty: never by itself. Chains that have become long are consolidated at once',
  ),
  setting(
    'consolidation.mibps',
    'Integer',
    '100',
    'Advanced',
    'MiB a second that the consolidation of a disk copies at most; 0: as fast as it goes',
  ),
  ...limit('user.vms', '20', '40', 'virtual machines'),
  ...limit('public.ips', '20', '40', 'public IP addresses'),
  ...limit('volumes', '20', '40', 'volumes'),
  ...limit('templates', '20', '40', 'templates'),
  ...limit('networks', '20', '40', 'networks'),
  ...limit('cpus', '40', '80', 'virtual CPUs'),
  ...limit('memory', '40960', '81920', 'MiB of memory'),
  ...limit('primary.storage', '200', '400', 'GiB of primary storage'),
  ...limit('secondary.storage', '400', '800', 'GiB of secondary storage'),
] as const satisfies readonly Setting[]

export type SettingName = (typeof settings)[number]['name']

function setting<N extends string>(name: N, type: SettingType, value: string, category: string, description: string) {
  return { name, type, value, scope: 'Global', category, description } as const
}

/** Default limits, for accounts and for domains. */
function limit<N extends string>(name: N, ofAccount: string, ofDomain: string, what: string) {
  const tail = 'without a limit of its own may have; -1 is without limit'
  return [
    setting(`max.account.${name}`, 'Integer', ofAccount, 'Advanced', `${what} that an account ${tail}`),
    setting(`max.domain.${name}`, 'Integer', ofDomain, 'Advanced', `${what} that all accounts of a domain ${tail}`),
  ] as const
}

/** Without effect where the hypervisor is a real one. */
function simulated<N extends string>(name: N, type: SettingType, value: string, description: string) {
  return setting(`simulated.${name}`, type, value, 'Simulator', `Simulated cloud: ${description}`)
}

export function settingNamed(name: string): Setting | undefined {
  return settings.find(each => each.name === name)
}

/** Where another number than these would bring all work to a stop, or lock everybody out. */
const ranges: Partial<Record<string, readonly [least: number, most: number]>> = {
  'default.page.size': [1, 1_000_000],
  'job.expire.minutes': [1, 999_999_999],
  'expunge.interval': [1, 999_999_999],
  'vm.userdata.max.length': [0, 1_048_576],
  'cpu.overprovisioning.factor': [1, 1_000],
  'pool.storage.reserve.percent': [0, 99],
  'extract.url.expiration.interval': [60, 999_999_999],
  'max.template.iso.size': [1, 1_000_000],
  'session.timeout': [60, 999_999_999],
  'vmsnapshot.max': [1, 64],
  'instantclone.memory.percent': [1, 100],
  'instantclone.delta.threshold': [1, 1_000_000],
  'vm.clone.max.count': [1, 1_000],
  'simulated.failure.percent': [0, 100],
}

/** Why `value` does not suit the setting, or null. */
export function settingRefusal({ name, type }: Setting, value: string): string | null {
  if (type === 'Boolean' && value !== 'true' && value !== 'false') return `${name} is true or false, not "${value}"`
  const [least, most] = ranges[name] ?? [
    name.startsWith('max.account.') || name.startsWith('max.domain.') ? -1 : 0,
    999_999_999,
  ]
  if (type === 'Integer' && (!/^-?\d{1,9}$/.test(value) || Number(value) < least || Number(value) > most))
    return `${name} is a whole number from ${least} to ${most}, not "${value}"`
  if (name === 'simulated.fail.next') return unknownCallRefusal(name, value)
  if (name === 'consolidation.schedule') return scheduleRefusalOf(name, value)
  if (name === 'public.ip.addresses') return publicAddressesRefusal(name, value)
  if (name === 'vmsnapshot.offering.change' && !offeringChanges.includes(value as OfferingChange))
    return `${name} is one of ${offeringChanges.join(', ')}, not "${value}"`
  if (name === 'vmsnapshot.deploy.mode' && !deployModes.includes(value as DeployMode))
    return `${name} is one of ${deployModes.join(', ')}, not "${value}"`
  return null
}

/** What becomes of VM snapshots when the machine gets another service offering. */
export const offeringChanges = ['discard', 'refuse', 'restore'] as const
export type OfferingChange = (typeof offeringChanges)[number]

function scheduleRefusalOf(name: string, value: string): string | null {
  const reason = value.trim() === '' ? null : scheduleRefusal(value)
  return reason && `${name}: ${reason}`
}

/** One for all would take ports from everything else on this machine. */
function publicAddressesRefusal(name: string, value: string): string | null {
  const wrong = namesIn(value).find(address => addressNumber(address) === null || address === '0.0.0.0')
  return wrong === undefined ? null : `${name} takes IPv4 addresses of this machine, each by itself; "${wrong}" is none`
}

function unknownCallRefusal(name: string, value: string): string | null {
  const unknown = namesIn(value).find(call => !simulatedCalls.includes(call))
  return unknown === undefined ? null : `${name} takes ${simulatedCalls.join(', ')}; there is no "${unknown}"`
}
