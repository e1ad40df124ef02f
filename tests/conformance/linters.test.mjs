// The schema before graphql-eslint: its rules for schemas and for Relay, all as errors.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import graphql from '@graphql-eslint/eslint-plugin';
import { ESLint } from 'eslint';
import { Kind, parse } from 'graphql';
import { root } from './served.mjs';

// Else the plugin goes on with the first schema that it was given, whatever it is handed later.
process.env.NODE_ENV = 'test';

const SCHEMA = readFileSync(join(root, 'schema', 'schema.graphql'), 'utf8');

// The rules' own defaults but for four options. By Relay's specification a connection pages forward, backward or
// both (ours: forward), and a list may hold something else than edges. An id is for what is an object of its own,
// which here is what implements Node: an amount of money has none. And everything is described, not types alone.
const RULES = {
  ...graphql.configs['flat/schema-recommended'].rules,
  ...graphql.configs['flat/schema-relay'].rules,
  '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],
  '@graphql-eslint/relay-edge-types': [
    'error',
    { withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false },
  ],
  '@graphql-eslint/require-description': [
    'error',
    {
      types: true,
      DirectiveDefinition: true,
      EnumValueDefinition: true,
      FieldDefinition: true,
      InputValueDefinition: true,
      rootField: true,
    },
  ],
};

const withoutIds = (sdl) =>
  parse(sdl)
    .definitions.filter((d) => d.kind === Kind.OBJECT_TYPE_DEFINITION)
    .filter((d) => !d.interfaces.some((i) => i.name.value === 'Node'))
    .map((d) => d.name.value);

/** What the rules have against a schema, as "rule: message". */
async function lint(sdl) {
  const folder = mkdtempSync(join(tmpdir(), 'laurels-lint-'));
  try {
    const path = join(folder, 'schema.graphql');
    writeFileSync(path, sdl);
    const ids = ['error', { exceptions: { types: withoutIds(sdl) } }];
    const eslint = new ESLint({
      cwd: folder,
      overrideConfigFile: true,
      overrideConfig: {
        files: ['**/*.graphql'],
        plugins: { '@graphql-eslint': graphql },
        languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: path } } },
        rules: { ...RULES, '@graphql-eslint/strict-id-in-types': ids },
      },
    });
    const [{ messages }] = await eslint.lintFiles([path]);
    return messages.map((m) => `${m.ruleId?.split('/')[1]}: ${m.message.replaceAll(/\s+/g, ' ')}`).sort();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The schema with one thing wrong; a control that changes nothing is refused. */
function spoilt(from, to) {
  assert.ok(SCHEMA.includes(from), `the schema has no ${from}`);
  return SCHEMA.replaceAll(from, to);
}

test('no rule has anything against the schema', async () => {
  assert.deepEqual(await lint(SCHEMA), []);
});

const FAULTS = [
  ['no-unreachable-types', '"""Where points stand', '"""Lost."""\nenum Lost {\n  """Here."""\n  HERE\n}\n\n"""Where points stand'],
  ['relay-edge-types', 'cursor: String!', 'place: String!'],
  ['relay-page-info', 'hasNextPage: Boolean!', 'hasNextPage: Boolean'],
  ['relay-arguments', 'first: Int! = 20', 'most: Int! = 20'],
  ['relay-connection-types', 'AdjustmentConnection', 'AdjustmentReport'],
  ['naming-convention', 'RedeemRewardResult', 'redeem_reward_result'],
  ['strict-id-in-types', 'Globally Unique ID of this object"""\n  id: ID!', 'key"""\n  key: String!'],
  ['require-description', '"""Points were earned."""\n', ''],
];

for (const [rule, from, to] of FAULTS)
  test(`${rule} sees ${JSON.stringify(to)} in place of ${JSON.stringify(from)}`, async () => {
    const complaints = await lint(spoilt(from, to));
    assert.ok(complaints.some((line) => line.startsWith(`${rule}: `)), complaints.join('\n'));
  });
