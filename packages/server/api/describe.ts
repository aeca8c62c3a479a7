// The description of the API, made from the declarations themselves: what listApis answers and the API page shows.
import type { Permission } from './caller.ts'
import type { Command, Parameters } from './command.ts'
import { loginParameters } from './login.ts'
import type { View } from './view.ts'
import { successView } from './views/success.ts'

export interface ParameterDescription {
  readonly name: string
  readonly description: string
  readonly type: string
  readonly length: number
  readonly required: boolean
}

export interface FieldDescription {
  readonly name: string
  readonly description: string
  readonly type: string
  readonly response?: readonly FieldDescription[]
}

export interface ApiDescription {
  readonly name: string
  readonly description: string
  readonly isasync: boolean
  readonly permission: Permission
  readonly params: readonly ParameterDescription[]
  readonly response: readonly FieldDescription[]
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)

export function describeApi(commands: readonly Command[]): ApiDescription[] {
  return [...commands.map(describeCommand), ...sessionApis].toSorted(byName)
}

function describeCommand({ name, description, isAsync, permission, params, answer }: Command): ApiDescription {
  const response = answer ?? (isAsync ? successView : null)
  return {
    name,
    description,
    isasync: isAsync,
    permission,
    params: describeParameters(params),
    response: response ? describeFields(response) : [],
  }
}

function describeParameters(params: Parameters): ParameterDescription[] {
  return Object.entries(params)
    .map(([name, { description, type, length, required }]) => ({ name, description, type, length, required }))
    .toSorted(byName)
}

function describeFields({ fields }: View<never>): FieldDescription[] {
  return Object.entries(fields).map(([name, { description, type, nested }]) => ({
    name,
    description,
    type,
    ...(nested && { response: describeFields(nested) }),
  }))
}

/** Login and logout are answered by the door itself, since they speak of cookies. */
const sessionApis: readonly ApiDescription[] = [
  {
    name: 'login',
    description: 'Opens a session; by POST only',
    isasync: false,
    permission: 'anyone',
    params: describeParameters(loginParameters),
    response: [
      { name: 'sessionkey', description: 'to be repeated in every call, beside the cookies', type: 'string' },
      { name: 'timeout', description: 'seconds without a call after which the session ends', type: 'integer' },
      { name: 'userid', description: 'the id of the user', type: 'string' },
      { name: 'username', description: 'the name of the user', type: 'string' },
      { name: 'account', description: 'the account of the user', type: 'string' },
      { name: 'domainid', description: 'the domain of the user', type: 'string' },
      { name: 'type', description: '0 user, 1 administrator, 2 administrator of a domain', type: 'string' },
    ],
  },
  {
    name: 'logout',
    description: 'Ends the session',
    isasync: false,
    permission: 'anyone',
    params: [],
    response: [{ name: 'description', description: 'success', type: 'string' }],
  },
]
