// What a clone of a running machine shares with its source until its guest was made somebody of its own, in plain words.
/** What a user may put into a guest, to be run in each clone of it. */
export const afterClone = '/etc/ramet/after-clone'

export const identityProblems = {
  notYet: 'not customized yet',
  noAgent: 'guest agent does not answer',
  noCommands:
    'guest agent runs no commands; hostname, machine-id, SSH host keys and random numbers are those of the source',
  rng: 'RNG state shared with source',
  hostname: 'hostname is not its own',
  machineId: 'machine-id is not its own',
  sshHostKeys: 'SSH host keys shared with source',
  clock: 'clock is not set',
  cardsUntold: 'guest agent does not tell which network cards the guest has',
  inheritedCard: 'a network card of the source is still there',
  card: (mac: string) => `network card ${mac} is not seen by the guest`,
  address: (mac: string) => `network card ${mac} has not the address that it was given`,
  hookFailed: (code: number) => `script ${afterClone} ended with code ${code}`,
  hookUnconfirmed: `script ${afterClone} has not ended yet`,
  insideGuest:
    'nobody has looked into the guest: hostname, machine-id, SSH host keys, addresses, clock and random numbers may be those of the source, unless its tools read guestinfo and see to them',
  unremembered: 'guest did not note that it was customized',
} as const
