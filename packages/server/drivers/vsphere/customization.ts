// What vCenter itself does to a clone's guest at its first start, by VMware's tools: its name, its addresses by DHCP, and on Windows its
// identity and the administrator's password. A guest with cloud-init reads the same, and keys and user data, from guestinfo.
import type { Spawn } from '../forest.ts'
import type { Data } from './vim25/schema.ts'

export function customizationOf({ machine, customize }: Spawn): Data<'CustomizationSpec'> | undefined {
  if (!customize) return undefined
  const { hostname } = machine.firstBoot
  const isWindows = customize.os === 'windows'
  return {
    options: isWindows
      ? { is: 'CustomizationWinOptions', changeSID: true, deleteAccounts: false, reboot: 'reboot' }
      : { is: 'CustomizationLinuxOptions' },
    identity: isWindows ? windows(hostname, customize.password) : linux(hostname),
    globalIPSettings: {},
    nicSettingMap: machine.plugs.map(({ mac }) => ({
      macAddress: mac,
      adapter: { ip: { is: 'CustomizationDhcpIpGenerator' } },
    })),
  }
}

type Identity = Data<'CustomizationIdentitySettings'>

function linux(name: string): Identity {
  return {
    is: 'CustomizationLinuxPrep',
    hostName: { is: 'CustomizationFixedName', name },
    domain: 'localdomain', // which must be said; DHCP may tell another
  }
}

/** NetBIOS has names of fifteen letters. */
const longestName = 15
const gmt = 85

function windows(hostname: string, password: string | null): Identity {
  const name = hostname.slice(0, longestName).replace(/-+$/, '')
  return {
    is: 'CustomizationSysprep',
    guiUnattended: {
      password: password === null ? undefined : { value: password, plainText: true },
      timeZone: gmt,
      autoLogon: false,
      autoLogonCount: 0,
    },
    userData: {
      fullName: 'Administrator',
      orgName: 'Ramet',
      computerName: { is: 'CustomizationFixedName', name },
      productId: '', // the image's own
    },
    identification: { joinWorkgroup: 'WORKGROUP' },
  }
}
