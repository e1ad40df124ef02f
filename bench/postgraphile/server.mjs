// PostGraphile on one schema of one database, set up as its documentation recommends for production
// (https://www.graphile.org/postgraphile/usage-library/), on a free port, which it prints.
import http from "node:http";
import pg from "pg";
import { postgraphile } from "postgraphile";

const [url, schema, connections] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: Number(connections) });
const handler = postgraphile(pool, schema, {
  retryOnInitFail: false,
  dynamicJson: true,
  setofFunctionsContainNulls: false,
  ignoreRBAC: false,
  extendedErrors: ["errcode"],
  graphiql: false,
  enableQueryBatching: true,
  disableQueryLog: true,
  legacyRelations: "omit",
  simpleCollections: "only", // plain lists: less to make than connections
  watchPg: false,
});
const server = http.createServer(handler);
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
