// Ids are types: a VM's id is not a layer's id, and text becomes an id only by passing through `parseId`.

declare const kind: unique symbol

/** A lower-case UUID that names one thing of kind `K`. */
export type Id<K extends string> = string & { readonly [kind]: K }

export type AccountId = Id<'account'>
export type ClusterId = Id<'cluster'>
export type AffinityGroupId = Id<'affinity-group'>
export type DiskOfferingId = Id<'disk-offering'>
export type DomainId = Id<'domain'>
export type EventId = Id<'event'>
export type ForkId = Id<'fork'>
export type HostId = Id<'host'>
export type ImageStoreId = Id<'image-store'>
export type InstanceGroupId = Id<'instance-group'>
export type JobId = Id<'job'>
export type LayerId = Id<'layer'>
export type MemoryImageId = Id<'memory-image'>
export type NetworkId = Id<'network'>
export type NetworkOfferingId = Id<'network-offering'>
export type NicId = Id<'nic'>
export type PodId = Id<'pod'>
export type PortForwardingRuleId = Id<'port-forwarding-rule'>
export type PublicIpId = Id<'public-ip'>
export type ServiceOfferingId = Id<'service-offering'>
export type SnapshotId = Id<'snapshot'>
export type StoragePoolId = Id<'storage-pool'>
export type TemplateId = Id<'template'>
export type UserId = Id<'user'>
export type VmId = Id<'vm'>
export type VmSnapshotId = Id<'vm-snapshot'>
export type VolumeId = Id<'volume'>
export type ZoneId = Id<'zone'>

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The id that `text` spells (case is forgiven), or null when it is no UUID. */
export function parseId<K extends string>(text: string): Id<K> | null {
  const lower = text.toLowerCase()
  return uuid.test(lower) ? (lower as Id<K>) : null
}

/** A fresh random id. Ids are chosen before the first act, so that a repeated step finds its own traces. */
export function newId<K extends string>(): Id<K> {
  return globalThis.crypto.randomUUID() as Id<K>
}
