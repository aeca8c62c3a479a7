// A cluster of a simulated vCenter beside the lab's own, with a template of its inventory, for tests.
import assert from 'node:assert/strict'
import { type ClusterId, parseId, type TemplateId, type VmId } from '@ramet/core/ids.ts'
import type { Answer } from '../api/command.ts'
import { thumbprintOf } from '../drivers/simulated/vcenter.ts'
import { call, callJob, type Given, listed } from './call.ts'
import { eventually } from './eventually.ts'
import type { Lab } from './lab.ts'

let count = 0

/** What addCluster is told of a new vCenter. */
export async function aConnection(lab: Lab) {
  const [pod] = await listed(lab, 'listPods')
  const url = `https://vcenter-${++count}.test/DC/C${count}`
  return {
    zoneid: String(pod?.['zoneid']),
    podid: String(pod?.['id']),
    clustername: `vmware-${count}`,
    clustertype: 'ExternalManaged',
    hypervisor: 'VMware',
    url,
    username: 'ramet@vsphere.local',
    password: `secret-${count}-of-vcenter`,
    thumbprint: thumbprintOf(url),
  }
}

export async function aVmwareCluster(lab: Lab, set: Given = {}): Promise<{ id: ClusterId; url: string }> {
  const connection = await aConnection(lab)
  const answer = await call(lab, 'addCluster', { ...connection, ...set })
  const [cluster] = Object.values(answer).find(Array.isArray) as Answer[]
  return { id: parseId<'cluster'>(String(cluster?.['id']))!, url: connection.url }
}

export async function anAdopted(lab: Lab, cluster: ClusterId, path = '/DC/vm/debian-12'): Promise<TemplateId> {
  const zone = await lab.app.db.selectFrom('zone').select('id').executeTakeFirstOrThrow()
  const answer = await call(lab, 'registerTemplate', {
    name: `adopted ${path}`,
    url: `inventory:${path}`,
    format: 'OVA',
    hypervisor: 'VMware',
    zoneid: zone.id,
    clusterid: cluster,
    ispublic: true,
  })
  const [{ id }] = Object.values(answer).find(Array.isArray) as [{ id: TemplateId }]
  await eventually('the template is ready', async () => {
    const [template] = await listed(lab, 'listTemplates', { id, templatefilter: 'all' })
    return template?.['isready'] === true
  })
  return id
}

export async function deployed(lab: Lab, template: TemplateId, set: Given = {}): Promise<Answer & { id: VmId }> {
  const [offering] = await listed(lab, 'listServiceOfferings')
  const { id: zoneid } = await lab.app.db.selectFrom('zone').select('id').executeTakeFirstOrThrow()
  const answer = await callJob(lab, 'deployVirtualMachine', {
    zoneid,
    serviceofferingid: String(offering?.['id']),
    ...('vmsnapshotid' in set ? {} : { templateid: template }),
    ...set,
  })
  const vm = answer['virtualmachine'] as (Answer & { id: VmId }) | undefined
  assert.ok(vm, JSON.stringify(answer))
  return vm
}
