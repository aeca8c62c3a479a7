import { cloneTypes } from '@ramet/core/clone-type.ts'
import { newId } from '@ramet/core/ids.ts'
import { deployVm } from '../../jobs/deploy-vm.ts'
import { setAffinities } from '../../store/affinity.ts'
import { mostDataVolumes } from '../../store/hypervisor-capabilities.ts'
import { groupNamed } from '../../store/instance-groups.ts'
import { holdRoom } from '../../store/limits.ts'
import { insertVm } from '../../store/new-vm.ts'
import { activeTemplate } from '../../store/templates.ts'
import { demandSizeFits } from '../../store/volume-pools.ts'
import { affinityParameters, chosenAffinityGroups } from '../affinity-groups.ts'
import { originOfCall } from '../caller.ts'
import { chosenNics, nicParameters } from '../chosen-nics.ts'
import { jobCommand } from '../command.ts'
import {
  chosenDataVolume,
  chosenKeys,
  chosenTemplate,
  chosenZone,
  demandFreeName,
  demandRootFor,
  demandSizes,
  rootFrom,
  serviceOfferingNamed,
} from '../deployment.ts'
import { detailedRootSize, keptDetails } from '../details.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { choice, flag, id, invalid, list, long, map, text } from '../parameters.ts'
import { chosenPlace, placeParameters } from '../place.ts'
import { kindOfImage } from '../template-call.ts'
import { demandUserData, userData } from '../user-data.ts'
import { vmResult } from '../vm-call.ts'

export const deployVirtualMachine = jobCommand({
  name: 'deployVirtualMachine',
  description:
    'Makes a virtual machine from a template, as a linked or a full clone, or with an empty disk from an ISO, and starts it',
  permission: 'user',
  params: {
    ...ownerParameters,
    zoneid: id<'zone'>('the zone').must,
    serviceofferingid: id<'service-offering'>('CPUs and memory').must,
    templateid: id<'template'>('the template; or an ISO, with diskofferingid').must,
    clonetype: choice(
      'full or linked; absent: the offering, the storage pool or the global setting decides',
      cloneTypes,
    ),
    name: text('host name, RFC 1123; made up when absent', 63),
    displayname: text('label for people; the name when absent'),
    ...nicParameters,
    diskofferingid: id<'disk-offering'>('offering of an additional data disk; with an ISO, of the root disk'),
    size: long('GiB of that data disk, where its offering leaves it open', 1, 64 * 1024),
    rootdisksize: long('GiB of the root disk, at least the template’s', 1, 64 * 1024),
    keypair: text('name of an SSH key'),
    keypairs: list('names of SSH keys', text('a name')),
    userdata: userData('base64 of cloud-init user data'),
    group: text('name of an instance group, made on demand'),
    ...affinityParameters,
    ...placeParameters,
    startvm: flag('start it at once; true when absent'),
    hypervisor: text('must be the template’s, if given'),
    details: map('what a custom offering leaves open: cpuNumber, cpuSpeed, memory; rootdisksize; the rest is kept'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const owner = await ownerOf(app, caller, params)
    const where = await chosenPlace(app, caller, params)
    const names = [...(params.keypairs ?? []), ...(params.keypair ? [params.keypair] : [])]
    const [zone, template, offering, keys, dataVolume, affinities] = await Promise.all([
      chosenZone(app, params.zoneid),
      chosenTemplate(app, caller, params.templateid, params.hypervisor),
      serviceOfferingNamed(app, params.serviceofferingid),
      chosenKeys(app, owner, names),
      chosenDataVolume(app, params.diskofferingid, params.size),
      chosenAffinityGroups(app, owner.id, params),
    ])
    const nics = await chosenNics(app, caller, zone, params)
    const sizes = demandSizes(offering, params.details)
    const user_data = demandUserData(app, params.userdata)
    if (template.zone_id !== zone.id) throw invalid('templateid', `names ${template.name}, which is in another zone`)
    const isIso = kindOfImage(template) === 'iso'
    const rootGib = params.rootdisksize ?? detailedRootSize(params.details)
    const most = await mostDataVolumes(app.db, app.hypervisor)
    if (!isIso && dataVolume.length > most)
      throw invalid('diskofferingid', `asks for a data disk; machines may have ${most} (listHypervisorCapabilities)`)
    const volumes = isIso
      ? [demandRootFor(template, dataVolume, { rootGib, cloneType: params.clonetype })]
      : [rootFrom(template, rootGib), ...dataVolume]
    const vmId = newId<'vm'>()
    return app.db.transaction().execute(async tx => {
      await demandFreeName(tx, owner, params.name)
      if (isIso) await activeTemplate(tx, template.id) // it stays while this machine has it in its drive
      if (rootGib !== undefined || dataVolume.length > 0)
        for (const { sizeBytes } of volumes) await demandSizeFits(tx, { zone: zone.id }, sizeBytes)
      await holdRoom(tx, owner.id, {
        vm: 1,
        cpu: sizes.cpus,
        memory: sizes.memoryMib,
        volume: volumes.length,
        primaryBytes: volumes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      })
      const vm = await insertVm(tx, {
        vm: {
          id: vmId,
          user_id: caller.user.id,
          zone_id: zone.id,
          template_id: template.id,
          iso_id: isIso ? template.id : null,
          service_offering_id: offering.id,
          hypervisor: template.hypervisor,
          cpus: sizes.cpus,
          cpu_mhz: sizes.cpuMhz,
          memory_mib: sizes.memoryMib,
          user_data,
          details: JSON.stringify(keptDetails(params.details)),
          group_id: params.group ? await groupNamed(tx, owner.id, params.group, caller.user.id) : null,
        },
        account: owner,
        name: params.name || undefined,
        displayName: params.displayname,
        instanceSuffix: app.settings.text('instance.name'),
        nics,
        keys,
        volumes,
      })
      if (affinities.length > 0) await setAffinities(tx, vm.id, affinities)
      const input = {
        vm: vm.id,
        template: isIso ? null : template.id,
        disks: volumes.map(volume => ({ volume: volume.id, layer: newId<'layer'>() })),
        start: params.startvm ?? true,
        withPassword: template.password_enabled,
        ...where,
        cloneType: params.clonetype ?? offering.clone_type,
      }
      return {
        id: vm.id,
        jobid: await app.jobs.start(tx, deployVm, input, originOfCall(caller, 'deployVirtualMachine')),
      }
    })
  },
})
