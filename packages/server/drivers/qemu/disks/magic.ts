// What a file says it is, by its first bytes. Cheap, and done before any program is let near it.

export type Kind =
  | 'qcow2'
  | 'vmdk'
  | 'vmdk-descriptor'
  | 'vhdx'
  | 'vhd'
  | 'vdi'
  | 'qed'
  | 'qcow'
  | 'luks'
  | 'compressed'
  | 'web-page'
  | 'ova'
  | 'raw'

const signatures: readonly (readonly [kind: Kind, offset: number, bytes: string])[] = [
  ['qcow2', 0, 'QFI\xfb'],
  ['vmdk', 0, 'KDMV'],
  ['vmdk', 0, 'COWD'],
  ['vmdk-descriptor', 0, '# Disk DescriptorFile'],
  ['vhdx', 0, 'vhdxfile'],
  ['vhd', 0, 'conectix'],
  ['vdi', 64, '\x7f\x10\xda\xbe'],
  ['qed', 0, 'QED\0'],
  ['luks', 0, 'LUKS\xba\xbe'],
  ['compressed', 0, '\x1f\x8b'],
  ['compressed', 0, 'BZh'],
  ['compressed', 0, '\xfd7zXZ\0'],
  ['compressed', 0, '(\xb5/\xfd'],
  ['compressed', 0, 'PK\x03\x04'],
  ['compressed', 0, '7z\xbc\xaf\x27\x1c'],
  ['ova', 257, 'ustar'],
]

export function kindOf(start: Buffer): Kind {
  const text = start.toString('latin1')
  const found = signatures.find(([, offset, bytes]) => text.startsWith(bytes, offset))
  if (found) return found[0] === 'qcow2' && start.readUInt32BE(4) < 2 ? 'qcow' : found[0]
  return /^\s*<(!doctype|html|\?xml)/i.test(text) ? 'web-page' : 'raw'
}

export const kindNames: Readonly<Record<Kind, string>> = {
  qcow2: 'a qcow2 image',
  vmdk: 'a VMDK image',
  'vmdk-descriptor': 'the description of a VMDK image that lies in other files',
  vhdx: 'a VHDX image',
  vhd: 'a VHD image',
  vdi: 'a VirtualBox VDI image',
  qed: 'a QED image',
  qcow: 'a qcow image of version 1',
  luks: 'an encrypted LUKS volume',
  compressed: 'a compressed archive',
  'web-page': 'a web page',
  ova: 'a tar archive or OVA',
  raw: 'a raw disk or something unknown',
}
