// Types of guest customization, which vCenter does itself at the first start of a clone.
export const customizationTypes = {
  CustomizationSpec: {
    options: 'CustomizationOptions?',
    identity: 'CustomizationIdentitySettings',
    globalIPSettings: 'CustomizationGlobalIPSettings',
    nicSettingMap: 'CustomizationAdapterMapping[]',
  },
  CustomizationOptions: {},
  CustomizationLinuxOptions: { extends: 'CustomizationOptions' },
  CustomizationIdentitySettings: {},
  CustomizationLinuxPrep: {
    extends: 'CustomizationIdentitySettings',
    hostName: 'CustomizationName',
    domain: 'string',
    timeZone: 'string?',
    hwClockUTC: 'boolean?',
  },
  CustomizationName: {},
  CustomizationFixedName: { extends: 'CustomizationName', name: 'string' },
  CustomizationVirtualMachineName: { extends: 'CustomizationName' },
  CustomizationGlobalIPSettings: { dnsSuffixList: 'string[]', dnsServerList: 'string[]' },
  CustomizationAdapterMapping: { macAddress: 'string?', adapter: 'CustomizationIPSettings' },
  CustomizationIPSettings: {
    ip: 'CustomizationIpGenerator',
    subnetMask: 'string?',
    gateway: 'string[]',
    dnsServerList: 'string[]',
  },
  CustomizationIpGenerator: {},
  CustomizationDhcpIpGenerator: { extends: 'CustomizationIpGenerator' },
  CustomizationFixedIp: { extends: 'CustomizationIpGenerator', ipAddress: 'string' },
} as const
