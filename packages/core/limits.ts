// What accounts and domains may have only so much of: CloudStack's numbers and names, the settings that hold the defaults,
// and the sentence that refuses more.

export const unlimited = -1

export const limitedResources = {
  user_vm: { number: 0, label: 'virtual machines', setting: 'user.vms', unit: 1 },
  public_ip: { number: 1, label: 'public IP addresses', setting: 'public.ips', unit: 1 },
  volume: { number: 2, label: 'volumes', setting: 'volumes', unit: 1 },
  template: { number: 4, label: 'templates', setting: 'templates', unit: 1 },
  network: { number: 6, label: 'networks', setting: 'networks', unit: 1 },
  cpu: { number: 8, label: 'virtual CPUs', setting: 'cpus', unit: 1 },
  memory: { number: 9, label: 'MiB of memory', setting: 'memory', unit: 1 },
  primary_storage: { number: 10, label: 'GiB of primary storage', setting: 'primary.storage', unit: 2 ** 30 },
  secondary_storage: { number: 11, label: 'GiB of secondary storage', setting: 'secondary.storage', unit: 2 ** 30 },
} as const

export type LimitedResource = keyof typeof limitedResources

export const limitedResourceNames = Object.keys(limitedResources) as LimitedResource[]

/** So much of each; memory in MiB, storage in bytes. */
export type Amounts = Readonly<Record<LimitedResource, number>>

export type LimitScope = 'account' | 'domain'

/** The setting with the default limit. */
export function limitSetting(scope: LimitScope, resource: LimitedResource) {
  return `max.${scope}.${limitedResources[resource].setting}` as const
}

export function resourceNumbered(number: number): LimitedResource | undefined {
  return limitedResourceNames.find(name => limitedResources[name].number === number)
}

/** Why `more` does not fit beside what is used, or null. `owner` is such as "Account alice"; `limit` counts units. */
export function roomRefusal(
  owner: string,
  resource: LimitedResource,
  { used, more, limit }: { used: number; more: number; limit: number },
): string | null {
  const { label, unit } = limitedResources[resource]
  if (limit === unlimited || used + more <= limit * unit) return null
  const [has, wants] = [used, more].map(amount => Math.round((amount / unit) * 100) / 100)
  return `${owner} has ${has} of at most ${limit} ${label}, and this would add ${wants}. Remove some, or ask an administrator for more (updateResourceLimit)`
}
