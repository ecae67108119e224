// OpenFeature's own evaluator of flagd's files, behind the one call of OFREP that golive makes. Arguments: the file and
// a port. Like flagd it notices a new file a moment later.
const fs = require('node:fs')
const http = require('node:http')
const { FlagdCore } = require('@openfeature/flagd-core')

const [file, port] = process.argv.slice(2)
const quiet = { error() {}, warn() {}, info() {}, debug() {} }
const core = new FlagdCore(undefined, quiet)
let seen
const load = () => {
  const text = fs.readFileSync(file, 'utf8')
  if (text !== seen) core.setConfigurations((seen = text))
}
load()
setInterval(load, 300)

http.createServer((request, response) => {
  let body = ''
  request.on('data', (part) => (body += part))
  request.on('end', () => {
    const answer = (status, json) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(json))
    const key = request.url.replace('/ofrep/v1/evaluate/flags/', '')
    try {
      const { value, variant, reason, errorCode } = core.resolveStringEvaluation(key, 'code', JSON.parse(body).context, quiet)
      if (errorCode) return answer(404, { key, errorCode })
      answer(200, { key, value, variant, reason })
    } catch (e) {
      answer(404, { key, errorCode: 'FLAG_NOT_FOUND', errorDetails: String(e.message) })
    }
  })
}).listen(port, '127.0.0.1')
