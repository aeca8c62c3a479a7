// Faults of a vim25 server as errors. They are told apart by type and its ancestors, never by their text, which is localised.
import { decodeData } from './decode.ts'
import { type AnyData, type TypeName, descends } from './schema.ts'
import type { Element } from './xml.ts'

export class VimFault extends Error {
  override readonly name = 'VimFault'
  readonly type: string
  readonly fault: AnyData

  constructor(fault: AnyData, message: string) {
    super(message === '' ? fault.is : `${message} (${fault.is})`)
    this.type = fault.is
    this.fault = fault
  }

  /** Is it a fault of this type, or of one that descends from it? */
  isA(type: TypeName): boolean {
    return descends(this.type, type)
  }
}

export function isFault(error: unknown, ...kinds: TypeName[]): error is VimFault {
  return error instanceof VimFault && kinds.some(type => error.isA(type))
}

/** The server does not answer, or with something that is no SOAP. `sent` tells whether it may have done what was asked. */
export class ServerSilent extends Error {
  override readonly name = 'ServerSilent'
  readonly sent: boolean

  constructor(message: string, sent: boolean, options?: { cause?: unknown }) {
    super(message, options)
    this.sent = sent
  }
}

export function faultOf(soapFault: Element): VimFault {
  const text = soapFault.children.find(({ name }) => name === 'faultstring')?.text.trim() ?? ''
  const detail = soapFault.children.find(({ name }) => name === 'detail')?.children[0]
  if (!detail) return new VimFault({ is: 'MethodFault' }, text)
  const declared = detail.attributes['xsi:type'] ?? detail.name.replace(/Fault$/, '')
  const element = { ...detail, attributes: { ...detail.attributes, 'xsi:type': declared } }
  return new VimFault(decodeData('MethodFault', element) as AnyData, text)
}

/** The fault of a task or of a property, which carries its own text. */
export function faultFrom(localized: {
  readonly fault: AnyData
  readonly localizedMessage?: string | undefined
}): VimFault {
  return new VimFault(localized.fault, localized.localizedMessage ?? '')
}
