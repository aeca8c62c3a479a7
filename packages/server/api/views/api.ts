// A command of the API on the wire.
import type { ApiDescription, FieldDescription, ParameterDescription } from '../describe.ts'
import { boolean, integer, nested, string, view } from '../view.ts'

const parameterView = view<ParameterDescription>('params', {
  name: string('the name of the parameter', parameter => parameter.name),
  description: string('what it means', parameter => parameter.description),
  type: string('its type', parameter => parameter.type),
  length: integer('the most characters it has', parameter => parameter.length),
  required: boolean('whether the call needs it', parameter => parameter.required),
})

const fieldView = view<FieldDescription>('response', {
  name: string('the name of the field', field => field.name),
  description: string('what it means', field => field.description),
  type: string('its type', field => field.type),
  response: { type: 'list', description: 'fields of the objects in it', from: field => field.response },
})

export const apiView = view<ApiDescription>('api', {
  name: string('the name of the command', api => api.name),
  description: string('what it does', api => api.description),
  isasync: boolean('whether it answers the id of a job', api => api.isasync),
  params: nested('its parameters', parameterView, api => api.params),
  response: nested('the fields of its answer', fieldView, api => api.response),
})
