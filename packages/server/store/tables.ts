// The rows of schema.sql as types. Keep both in the same order; store/schema.test.ts compares their columns.
import type { AffinityType } from '@ramet/core/placement.ts'
import type { CloneType, Hypervisor } from '@ramet/core/clone-type.ts'
import type { HostResourceState, HostState } from '@ramet/core/host.ts'
import type * as id from '@ramet/core/ids.ts'
import type { JobState } from '@ramet/core/job-state.ts'
import type { LayerState } from '@ramet/core/layer.ts'
import type { LimitedResource } from '@ramet/core/limits.ts'
import type { PoolState } from '@ramet/core/pool.ts'
import type { StoredProblem } from '@ramet/core/problem.ts'
import type { SnapshotState } from '@ramet/core/snapshot.ts'
import type { VmState } from '@ramet/core/vm.ts'
import type { Quiesce, VmSnapshotState, VmSnapshotType } from '@ramet/core/vm-snapshot.ts'
import type { VolumeState, VolumeType } from '@ramet/core/volume.ts'
import type { ColumnType, Generated, GeneratedAlways, Selectable } from 'kysely'

type Created = ColumnType<Date, Date | undefined, Date>
type Json<T> = ColumnType<T, string, string>
type JsonOrNull<T> = ColumnType<T | null, string | null | undefined, string | null>
type Nullable<T> = ColumnType<T | null, T | null | undefined, T | null>

/** Of one account, or of all accounts of a domain. */
export type GuestIpType = 'Isolated' | 'Shared'

export interface Tables {
  domain: {
    id: id.DomainId
    name: string
    path: string
    level: number
    parent_id: Nullable<id.DomainId>
    network_domain: Nullable<string>
    state: Generated<'Active' | 'Inactive'>
    created: Created
    removed: Nullable<Date>
  }
  account: {
    id: id.AccountId
    number: GeneratedAlways<number>
    domain_id: id.DomainId
    name: string
    type: AccountType
    state: Generated<AccountState>
    network_domain: Nullable<string>
    details: ColumnType<Record<string, string>, string | undefined, string>
    cleanup_needed: Generated<boolean>
    created: Created
    removed: Nullable<Date>
  }
  user: {
    id: id.UserId
    account_id: id.AccountId
    username: string
    password_hash: string
    firstname: string
    lastname: string
    email: string
    timezone: Nullable<string>
    state: Generated<AccountState>
    api_key: Nullable<string>
    secret_key_sealed: Nullable<string>
    created: Created
    removed: Nullable<Date>
  }
  session: {
    token_hash: string
    session_key_hash: string
    user_id: id.UserId
    created: Created
    expires: Date
  }
  resource_limit: {
    account_id: Nullable<id.AccountId>
    domain_id: Nullable<id.DomainId>
    resource: LimitedResource
    most: number
    updated: Created
  }
  resource_tag: {
    resource_type: string
    resource_id: string
    key: string
    value: string
    customer: Nullable<string>
    account_id: Nullable<id.AccountId>
    created: Created
  }
  ssh_key_pair: {
    id: id.Id<'ssh-key-pair'>
    account_id: id.AccountId
    name: string
    fingerprint: string
    public_key: string
    created: Created
  }
  zone: {
    id: id.ZoneId
    name: string
    network_type: string
    allocation_state: Generated<string>
    dns1: string
    dns2: Nullable<string>
    internal_dns1: string
    internal_dns2: Nullable<string>
    guest_cidr: Nullable<string>
    network_domain: Nullable<string>
    sort_key: Generated<number>
    created: Created
    removed: Nullable<Date>
  }
  pod: {
    id: id.Id<'pod'>
    zone_id: id.ZoneId
    name: string
    allocation_state: Generated<string>
    gateway: Nullable<string>
    netmask: Nullable<string>
    start_ip: Nullable<string>
    end_ip: Nullable<string>
    created: Created
    removed: Nullable<Date>
  }
  cluster: {
    id: id.Id<'cluster'>
    pod_id: id.Id<'pod'>
    name: string
    hypervisor: Hypervisor
    allocation_state: Generated<string>
    created: Created
    removed: Nullable<Date>
  }
  cluster_connection: {
    cluster_id: id.ClusterId
    url: string
    username: string
    password_sealed: string
    thumbprint: Nullable<string>
    guest_network: Nullable<string>
    problem: Nullable<string>
    updated: Created
  }
  host: {
    id: id.HostId
    cluster_id: id.Id<'cluster'>
    name: string
    address: string
    state: HostState
    resource_state: Generated<HostResourceState>
    hypervisor_version: string
    acceleration: string
    arch: string
    cpus: number
    cpu_mhz: number
    memory_mib: number
    networks: Generated<string>
    last_pinged: Nullable<Date>
    created: Created
  }
  storage_pool: {
    id: id.StoragePoolId
    cluster_id: id.Id<'cluster'>
    name: string
    type: string
    path: string
    state: Generated<PoolState>
    tags: Generated<string[]>
    problem: Nullable<string>
    total_bytes: number
    free_bytes: number
    created: Created
  }
  image_store: {
    id: id.Id<'image-store'>
    zone_id: id.ZoneId
    name: string
    provider: Generated<string>
    path: string
    read_only: Generated<boolean>
    problem: Nullable<string>
    total_bytes: Generated<number>
    free_bytes: Generated<number>
    created: Created
    removed: Nullable<Date>
  }
  os_category: { id: id.Id<'os-category'>; name: string }
  os_type: { id: id.Id<'os-type'>; category_id: id.Id<'os-category'>; description: string }
  hypervisor_capabilities: {
    id: id.Id<'hypervisor-capabilities'>
    hypervisor: Hypervisor
    max_guests: Nullable<number>
    max_data_volumes: number
    security_group_enabled: Generated<boolean>
    vm_snapshot_enabled: Generated<boolean>
    created: Created
    longest_chain: Generated<number>
    consolidate_at: Generated<number>
    most_deltas: Nullable<number>
  }
  service_offering: {
    id: id.ServiceOfferingId
    name: string
    display_text: string
    cpus: Nullable<number>
    cpu_mhz: Nullable<number>
    memory_mib: Nullable<number>
    min_cpus: Nullable<number>
    max_cpus: Nullable<number>
    min_memory_mib: Nullable<number>
    max_memory_mib: Nullable<number>
    storage_type: Generated<string>
    storage_tags: Generated<string[]>
    clone_type: Nullable<CloneType>
    sort_key: Generated<number>
    created: Created
    removed: Nullable<Date>
    network_rate: Nullable<number>
  }
  disk_offering: {
    id: id.DiskOfferingId
    name: string
    display_text: string
    size_bytes: Nullable<number>
    storage_type: Generated<string>
    storage_tags: Generated<string[]>
    sort_key: Generated<number>
    created: Created
    removed: Nullable<Date>
  }
  network_offering: {
    id: id.NetworkOfferingId
    name: string
    display_text: string
    guest_ip_type: GuestIpType
    state: Generated<'Enabled' | 'Disabled'>
    is_default: Generated<boolean>
    is_segment: Generated<boolean>
    of_inventory: Generated<boolean>
    forwards_ssh: Generated<boolean>
    source_nat: Generated<boolean>
    reaches_host: Generated<boolean>
    network_rate: Nullable<number>
    created: Created
    removed: Nullable<Date>
  }
  network: {
    id: id.NetworkId
    account_id: id.AccountId
    zone_id: id.ZoneId
    network_offering_id: id.NetworkOfferingId
    name: string
    display_text: string
    cidr: Nullable<string>
    gateway: Nullable<string>
    start_ip: Nullable<string>
    end_ip: Nullable<string>
    network_domain: Nullable<string>
    domain_id: Nullable<id.DomainId>
    subdomain_access: Generated<boolean>
    state: Generated<'Allocated' | 'Destroy'>
    created: Created
    cluster_id: Nullable<id.ClusterId>
    foreign_name: Nullable<string>
  }
  configuration: { name: string; value: string; updated: Created }
  storage_pool_configuration: { pool_id: id.StoragePoolId; name: string; value: string; updated: Created }
  template: {
    id: id.TemplateId
    account_id: id.AccountId
    zone_id: id.ZoneId
    os_type_id: Nullable<id.Id<'os-type'>>
    name: string
    display_text: string
    format: TemplateFormat
    hypervisor: Hypervisor
    url: string
    checksum: Nullable<string>
    state: 'Active' | 'Inactive'
    download_state: DownloadState
    download_percent: Generated<number>
    error: Nullable<string>
    image_store_id: id.Id<'image-store'>
    install_path: string
    virtual_bytes: Nullable<number>
    physical_bytes: Nullable<number>
    is_public: boolean
    is_featured: boolean
    is_extractable: boolean
    password_enabled: boolean
    ssh_key_enabled: boolean
    bootable: Generated<boolean>
    created: Created
    removed: Nullable<Date>
    cluster_id: Nullable<id.ClusterId>
  }
  launch_permission: { template_id: id.TemplateId; account_id: id.AccountId }
  download: {
    id: id.Id<'download'>
    account_id: id.AccountId
    token_hash: string
    file: string
    file_name: string
    is_temporary: boolean
    template_id: Nullable<id.TemplateId>
    created: Created
    expires: Date
  }
  layer: {
    id: id.LayerId
    pool_id: id.StoragePoolId
    parent_id: Nullable<id.LayerId>
    account_id: Nullable<id.AccountId>
    state: LayerState
    virtual_bytes: number
    allocated_bytes: Generated<number>
    created: Created
    volume_id: Nullable<id.VolumeId>
  }
  template_spool_ref: {
    id: id.Id<'template-spool-ref'>
    pool_id: id.StoragePoolId
    template_id: id.TemplateId
    layer_id: Nullable<id.LayerId>
    state: 'Allocated' | 'Creating' | 'Ready' | 'Destroying'
    download_state: DownloadState
    download_pct: Generated<number>
    install_path: Nullable<string>
    error_str: Nullable<string>
    template_size: Generated<number>
    marked_for_gc: Generated<boolean>
    created: Created
    last_updated: Created
  }
  vmsnapshot_spool_ref: {
    id: id.LayerId
    pool_id: id.StoragePoolId
    vm_snapshot_id: id.VmSnapshotId
    created: Created
    install_path: string
    state: 'Creating' | 'Ready' | 'Destroying'
  }
  instance_group: { id: id.InstanceGroupId; account_id: id.AccountId; name: string; created: Created }
  vm: {
    id: id.VmId
    number: Generated<number>
    account_id: id.AccountId
    user_id: Nullable<id.UserId>
    zone_id: id.ZoneId
    host_id: Nullable<id.HostId>
    last_host_id: Nullable<id.HostId>
    target_host_id: Nullable<id.HostId>
    template_id: Nullable<id.TemplateId>
    iso_id: Nullable<id.TemplateId>
    service_offering_id: id.ServiceOfferingId
    hypervisor: Hypervisor
    name: string
    display_name: string
    instance_name: string
    state: VmState
    update_count: Generated<number>
    error: Nullable<string>
    cpus: number
    cpu_mhz: number
    memory_mib: number
    generation_id: string
    user_data: Nullable<string>
    password_hash: Nullable<string>
    delete_protection: Generated<boolean>
    group_id: Nullable<id.InstanceGroupId>
    os_type_id: Nullable<id.Id<'os-type'>>
    seed_version: Generated<number>
    ha_enabled: Generated<boolean>
    details: ColumnType<Record<string, string>, string | undefined, string>
    customized: Generated<boolean>
    identity_problems: Generated<string[]>
    inventory_problems: Generated<string[]>
    destroyed: Nullable<Date>
    created: Created
    updated: Created
    removed: Nullable<Date>
    is_instant: Generated<boolean>
    is_frozen: Generated<boolean>
    fork_id: Nullable<id.ForkId>
    memory_image_id: Nullable<id.MemoryImageId>
    memory_counted_mib: Nullable<number>
    cluster_id: Nullable<id.ClusterId>
  }
  host_load: {
    host_id: id.HostId
    machines: Generated<number>
    cpus: Generated<number>
    cpu_mhz: Generated<number>
    memory_mib: Generated<number>
  }
  vm_ssh_key_pair: { vm_id: id.VmId; name: string; public_key: string }
  affinity_group: {
    id: id.AffinityGroupId
    account_id: id.AccountId
    name: string
    type: AffinityType
    description: Nullable<string>
    created: Created
  }
  affinity_group_vm: { group_id: id.AffinityGroupId; vm_id: id.VmId }
  user_vm_clone_setting: { id: GeneratedAlways<number>; vm_id: id.VmId; clone_type: CloneType }
  volume: {
    id: id.VolumeId
    number: GeneratedAlways<number>
    account_id: id.AccountId
    zone_id: id.ZoneId
    pool_id: Nullable<id.StoragePoolId>
    vm_id: Nullable<id.VmId>
    template_id: Nullable<id.TemplateId>
    service_offering_id: Nullable<id.ServiceOfferingId>
    disk_offering_id: Nullable<id.DiskOfferingId>
    layer_id: Nullable<id.LayerId>
    device_id: Nullable<number>
    name: string
    type: VolumeType
    state: VolumeState
    size_bytes: number
    display: Generated<boolean>
    delete_protection: Generated<boolean>
    image_store_id: Nullable<id.Id<'image-store'>>
    install_path: Nullable<string>
    format: Nullable<TemplateFormat>
    physical_bytes: Nullable<number>
    error: Nullable<string>
    created: Created
    attached: Nullable<Date>
    destroyed: Nullable<Date>
    removed: Nullable<Date>
    disk_key: Nullable<string>
    disk_bytes: Nullable<number>
    disk_depth: Nullable<number>
    seed_id: Nullable<id.LayerId>
  }
  nic: {
    id: id.NicId
    vm_id: id.VmId
    network_id: id.NetworkId
    device_id: number
    mac: string
    ip_address: Nullable<string>
    ssh_port: Nullable<number>
    is_default: boolean
    created: Created
  }
  public_ip: {
    id: id.PublicIpId
    account_id: id.AccountId
    zone_id: id.ZoneId
    network_id: id.NetworkId
    address: string
    state: Generated<'Allocating' | 'Allocated' | 'Releasing'>
    created: Created
  }
  port_forwarding_rule: {
    id: id.PortForwardingRuleId
    account_id: id.AccountId
    public_ip_id: id.PublicIpId
    address: string
    public_port: number
    nic_id: id.NicId
    private_port: number
    state: Generated<'Add' | 'Active' | 'Revoke'>
    created: Created
  }
  memory_image: {
    id: id.MemoryImageId
    pool_id: id.StoragePoolId
    account_id: id.AccountId
    state: LayerState
    memory_bytes: number
    allocated_bytes: Generated<number>
    shape: Nullable<string>
    created: Created
  }
  vm_snapshot: {
    id: id.VmSnapshotId
    vm_id: id.VmId
    account_id: id.AccountId
    parent_id: Nullable<id.VmSnapshotId>
    service_offering_id: id.ServiceOfferingId
    memory_image_id: Nullable<id.MemoryImageId>
    name: string
    display_name: string
    description: Nullable<string>
    type: VmSnapshotType
    state: VmSnapshotState
    is_current: Generated<boolean>
    cpus: number
    cpu_mhz: number
    memory_mib: number
    quiesce: Nullable<Quiesce>
    stun_ms: Nullable<number>
    error: Nullable<string>
    update_count: Generated<number>
    created: Created
    updated: Created
    removed: Nullable<Date>
  }
  vm_snapshot_disk: {
    snapshot_id: id.VmSnapshotId
    volume_id: id.VolumeId
    layer_id: id.LayerId
    device_id: number
    size_bytes: number
  }
  fork: {
    id: id.ForkId
    vm_id: id.VmId
    memory_image_id: Nullable<id.MemoryImageId>
    with_memory: boolean
    is_frozen: Generated<boolean>
    state: 'Allocated' | 'Creating' | 'Ready' | 'Error'
    stun_ms: Nullable<number>
    created: Created
    is_kept: Generated<boolean>
  }
  clone_source: { vm_id: id.VmId; source_id: id.VmId }
  fork_disk: {
    fork_id: id.ForkId
    volume_id: id.VolumeId
    layer_id: id.LayerId
    device_id: number
    size_bytes: number
  }
  snapshot: {
    id: id.SnapshotId
    account_id: id.AccountId
    zone_id: id.ZoneId
    volume_id: id.VolumeId
    vm_snapshot_id: Nullable<id.VmSnapshotId>
    image_store_id: id.Id<'image-store'>
    name: string
    state: SnapshotState
    virtual_bytes: number
    physical_bytes: Generated<number>
    install_path: string
    quiesce: Nullable<Quiesce>
    error: Nullable<string>
    created: Created
    removed: Nullable<Date>
  }
  job: {
    id: id.JobId
    sequence: GeneratedAlways<number>
    kind: string
    command: string
    account_id: id.AccountId
    user_id: Nullable<id.UserId>
    lock_key: string
    instance_type: string
    instance_id: Nullable<string>
    input: Json<unknown>
    state: JobState
    step: Nullable<string>
    percent: Generated<number>
    cancel_asked: Generated<boolean>
    waits_for: Nullable<id.JobId>
    owner: Nullable<string>
    fence: Generated<number>
    lease_until: Nullable<Date>
    start_event_id: Nullable<id.EventId>
    result: JsonOrNull<Record<string, unknown>>
    problem: JsonOrNull<StoredProblem>
    created: Created
    completed: Nullable<Date>
  }
  job_step: {
    job_id: id.JobId
    step: string
    phase: 'started' | 'done' | 'undone'
    made: JsonOrNull<unknown>
    attempts: Generated<number>
  }
  event: {
    id: id.EventId
    sequence: GeneratedAlways<number>
    start_event_id: Nullable<id.EventId>
    account_id: id.AccountId
    user_id: Nullable<id.UserId>
    type: string
    level: 'INFO' | 'WARN' | 'ERROR'
    state: 'Created' | 'Scheduled' | 'Started' | 'Completed'
    description: string
    resource_type: string
    resource_id: Nullable<string>
    created: Created
  }
}

export type AccountType = 'User' | 'Admin' | 'DomainAdmin'
export type AccountState = 'enabled' | 'disabled' | 'locked'
export type TemplateFormat = 'QCOW2' | 'RAW' | 'VMDK' | 'VHDX' | 'ISO' | 'OVA'
export type DownloadState = 'NOT_DOWNLOADED' | 'DOWNLOAD_IN_PROGRESS' | 'DOWNLOADED' | 'DOWNLOAD_ERROR'

/** A row of table `T` as it is read. */
export type Row<T extends keyof Tables> = Selectable<Tables[T]>
