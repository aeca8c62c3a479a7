// What is asked of vCenter for the guest of a clone, as it arrives: vcsim checks order and types (test/vcenter/strict.go).
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { following } from '../contract-forest.ts'
import type { Customize, ForestMachine } from '../forest.ts'
import { type TestMachines, testMachines } from './a-machine.ts'
import { noVcenter } from './a-vcenter.ts'
import { type VsphereDriver, vsphereDriver } from './driver.ts'

describe('customization of a guest by vCenter', { skip: noVcenter() }, () => {
  let lab: TestMachines
  let driver: VsphereDriver
  const template = { kind: 'template', id: newId<'template'>() } as const
  before(async () => {
    lab = await testMachines('-plain')
    driver = await vsphereDriver({ ...lab.server, cluster: 'DC0/DC0_C0' })
    await driver.forest.adopt(template, (await lab.aMachine()).slice('VirtualMachine:'.length), following)
  })
  after(async () => {
    await driver.close()
    await lab.close()
  })

  /** Types that say nothing: no other could stand there. */
  const plain =
    / xsi:type="Customization(Spec|GuiUnattended|Password|UserData|Identification|GlobalIPSettings|AdapterMapping|IPSettings)"/g

  /** What was asked for a clone; the machine starts, which vcsim lets it only with a mapping for each card. */
  async function asked(hostname: string, customize: Customize | null): Promise<string> {
    const { hosts, pools } = await driver.forest.inventory()
    const vm = newId<'vm'>()
    const machine: ForestMachine = {
      vm,
      host: { id: newId<'host'>(), name: hosts[0]!.name },
      name: `m-${vm}`,
      cpus: 1,
      memoryMib: 64,
      plugs: ['VM Network', 'DC0_DVPG0'].map((network, deviceId) => ({
        deviceId,
        network,
        mac: `02:00:4c:00:03:0${deviceId}`,
      })),
      cdrom: null,
      firstBoot: { instanceId: vm, hostname, sshKeys: [], passwordHash: null, userData: null },
    }
    const pool = { id: newId<'storage-pool'>(), path: pools[0]!.path }
    const wanted = { machine, from: template, pool, cloneType: 'full', rootBytes: null, disks: [0], customize } as const
    await driver.forest.spawn(wanted, following)
    const sent = await lab.server.last('CloneVM_Task')
    const spec = /<customization.*<\/customization>/.exec(sent)?.[0].replaceAll(plain, '') ?? ''
    assert.equal((await driver.forest.start(machine, following.signal)).power, 'on')
    await driver.machines.stop(vm, 0, following.signal)
    await driver.machines.discard(vm)
    return spec
  }

  const cards =
    '<globalIPSettings></globalIPSettings>' +
    [0, 1]
      .map(
        number =>
          `<nicSettingMap><macAddress>02:00:4c:00:03:0${number}</macAddress>` +
          '<adapter><ip xsi:type="CustomizationDhcpIpGenerator"></ip></adapter></nicSettingMap>',
      )
      .join('')

  test('Linux is given its name, and an address by DHCP for each card', async () => {
    assert.equal(
      await asked('web-1', { os: 'linux', password: null }),
      '<customization><options xsi:type="CustomizationLinuxOptions"></options><identity xsi:type="CustomizationLinuxPrep">' +
        '<hostName xsi:type="CustomizationFixedName"><name>web-1</name></hostName><domain>localdomain</domain></identity>' +
        `${cards}</customization>`,
    )
  })

  test('Windows is given a name of its own length, an identity and the password, which stands nowhere else', async () => {
    const tasks: string[] = []
    const stop = driver.forest.onTask(task => tasks.push(JSON.stringify(task)))
    const spec = await asked('a-long-name-of-b-machine', { os: 'windows', password: 'p<ss & "w"' })
    stop()
    assert.equal(
      spec,
      '<customization><options xsi:type="CustomizationWinOptions"><changeSID>true</changeSID><deleteAccounts>false</deleteAccounts>' +
        '<reboot>reboot</reboot></options><identity xsi:type="CustomizationSysprep"><guiUnattended><password>' +
        '<value>p&lt;ss &amp; &quot;w&quot;</value><plainText>true</plainText></password><timeZone>85</timeZone>' +
        '<autoLogon>false</autoLogon><autoLogonCount>0</autoLogonCount></guiUnattended><userData>' +
        '<fullName>Administrator</fullName><orgName>Ramet</orgName>' +
        '<computerName xsi:type="CustomizationFixedName"><name>a-long-name-of</name></computerName><productId></productId>' +
        '</userData><identification><joinWorkgroup>WORKGROUP</joinWorkgroup></identification></identity>' +
        `${cards}</customization>`,
    )
    assert.ok(tasks.length > 0 && tasks.every(text => !text.includes('p<ss')))
  })

  test('a guest of an unknown system is left as it is', async () => {
    assert.equal(await asked('web-3', null), '')
  })

  test('what vCenter cannot customize is told with the way out, and nothing is left', async () => {
    await lab.server.trouble({
      method: 'CloneVM_Task',
      act: 'fault',
      fault: 'UncustomizableGuest',
      fields: { uncustomizableGuestOS: 'otherGuest' },
    })
    await assert.rejects(asked('web-4', { os: 'linux', password: null }), {
      kind: 'refused',
      code: 'vsphere-not-customized',
    })
  })
})
