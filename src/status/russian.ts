/**
 * The pages in Russian. Enters: nothing. Leaves: what `english.ts` leaves, in Russian. Invariant: the compiler refuses a text that is missing, and a
 * test one that was left untranslated.
 */
import type { DiscardReason, RejectReason } from '../domain/access-reason.js';
import type { Exception } from '../domain/standing.js';
import type { Language } from './english.js';
import { enforcementRussian } from './russian-enforcement.js';
import { linesRussian } from './russian-lines.js';

const reasons: Readonly<Record<RejectReason | DiscardReason, string>> = {
  'unknown-login': 'такого логина ни у кого нет',
  'unknown-mac': 'такого MAC-адреса ни у кого нет',
  'unknown-address': 'такого статического адреса ни у кого нет',
  'unknown-line': 'на этой линии никого нет, или её не знают ни правила lines.toml, ни список устройств',
  'untold-line': 'абонента с этим MAC-адресом узнают по линии, а в запросе её нет',
  'no-identity': 'в запросе нет ни логина, ни MAC, ни линии, ни адреса, на которые смотрит профиль',
  ambiguous: 'подходят несколько абонентов, и непонятно, кто из них',
  'wrong-password': 'неверный пароль',
  'no-password': 'в запросе нет пароля, а профиль этого NAS его требует',
  'no-stored-password': 'у абонента не задан пароль, поэтому не подойдёт никакой',
  'method-needs-cleartext':
    'пароль хранится в необратимом виде, непригодном для этого метода; задайте его заново или включите PAP на NAS',
  'method-unsupported': 'метод проверки пароля не поддерживается',
  'malformed-password': 'атрибут пароля в запросе неверной длины или без challenge',
  'stored-password-unreadable': 'сохранённый пароль не читается: неверный вид или запечатан другим ключом',
  deleted: 'абонент удалён',
  'admin-blocked': 'заблокирован администрацией',
  'own-disabled': 'добровольная блокировка по желанию абонента',
  redirect: 'ограниченный доступ: нет денег, и профиль этого NAS таких не пускает',
  'no-plan': 'у договора нет тарифа',
  'plan-inactive': 'тариф выключен или срок его действия не наступил либо вышел',
  'nas-binding': 'абонент закреплён за другим NAS',
  'mac-binding': 'у устройства не тот MAC-адрес, к которому привязан абонент',
  'line-binding': 'устройство включено не в ту линию, к которой привязан абонент',
  'address-binding': 'Calling-Station-Id не равен статическому адресу, к которому привязан абонент',
  'session-limit': 'все сессии, разрешённые тарифом, заняты другими устройствами',
  'address-in-use': 'статический адрес занят другой сессией',
  'pool-empty': 'в пуле нет свободных адресов',
  'no-pool': 'пула нет в домене маршрутизации этого NAS',
  'unsafe-attribute': 'атрибут профиля нельзя верно передать для этого абонента; см. explain',
  'not-loaded': 'абоненты ещё не загружены',
  draining: 'сервер останавливается',
  overloaded: 'слишком много проверок пароля ждут очереди',
  'spool-unavailable': 'спул не может записать адрес, который был бы выдан',
  'unknown-nas': 'в nas.d нет записи с этим адресом и NAS-Identifier',
  'internal-error': 'ошибка самого сервера; см. его журнал',
  'reply-too-long': 'ответ не помещается в пакет RADIUS',
};

const stateNames: Language['stateNames'] = {
  active: 'обслуживается',
  redirect: 'ограниченный доступ: нет денег',
  own_disabled: 'добровольная блокировка',
  admin_blocked: 'заблокирован администрацией',
  unknown: 'неизвестный абонент',
};

const endCauses: Language['endCauses'] = {
  stop: 'завершена на NAS',
  silence: 'NAS перестал о ней сообщать',
  'nas-restart': 'NAS перезапущен',
  superseded: 'её ключ заняла другая сессия',
  'taken-over': 'то же устройство подключилось снова',
  gone: 'NAS ответил, что её не знает',
};

const outcomes: Language['outcomes'] = { accept: 'принят', reject: 'отклонён', discard: 'без ответа' };

function reason(code: string): string {
  return Object.hasOwn(reasons, code) ? reasons[code as keyof typeof reasons] : code;
}

function state(code: string): string {
  return stateNames[code] ?? code;
}

function exception(next: Exception): string {
  return 'refused' in next ? reason(next.refused) : state(next.restricted);
}

const sentence: Language['sentence'] = (standing, format, because) => {
  const note = because === undefined ? '' : ` (${because})`;
  switch (standing.kind) {
    case 'online': {
      const { session, sessions, next } = standing;
      const where = `В сети с ${format.instant(session.startedAt)} на ${session.nasName}`;
      const address = session.address === null ? '' : `, адрес ${session.address}`;
      const more = sessions > 1 ? `, сессий: ${String(sessions)}` : '';
      const silent = session.suspect ? ', но NAS слишком долго о ней не сообщает' : '';
      const later = next === undefined ? '' : `. При следующем входе: ${exception(next)}${note}`;
      return `${where}${address}${more}${silent}${later}.`;
    }
    case 'deleted':
      return `Не в сети: абонент удалён${note}.`;
    case 'refused': {
      const { reason: code, lastAttempt } = standing;
      const asked =
        lastAttempt === undefined ? '' : ` Последний запрос: ${format.ago(lastAttempt.at)}, ${lastAttempt.nasName}.`;
      return `Не в сети: ${reason(code)}${note}.${asked}`;
    }
    case 'device-down':
      return linesRussian.deviceDown(standing.device, format);
    case 'lease-refused':
      return linesRussian.leaseRefused(standing.refusal, format);
    case 'failed-attempt': {
      const { attempt } = standing;
      const how = outcomes[attempt.outcome] ?? attempt.outcome;
      return `Не в сети: последний запрос (${format.ago(attempt.at)}, ${attempt.nasName}) ${how}: ${reason(attempt.reason)}.`;
    }
    case 'restricted':
      return `Не в сети. Вход возможен, но только так: ${state(standing.state)}${note}.`;
    case 'accepted-without-session':
      return `Не в сети: запрос принят (${format.ago(standing.attempt.at)}, ${standing.attempt.nasName}), но NAS не сообщил о сессии.`;
    case 'ended': {
      const { endedAt, cause, nasName, lease } = standing.end;
      const why =
        lease === undefined ? `сессия на ${nasName} ${endCauses[cause] ?? cause}` : linesRussian.sessionEnds[lease];
      return `Не в сети с ${format.instant(endedAt)}: ${why}. Препятствий нет, устройство не подключается.`;
    }
    case 'never-seen':
      return 'Не в сети: препятствий нет, но от этого абонента не было ни одного запроса.';
    case 'not-known-yet':
      return 'Не в сети. Сервер ещё загружает абонентов и не может сказать больше.';
  }
};

export const russian: Language = {
  code: 'ru',
  units: {
    locale: 'ru-RU',
    octetUnits: ['Б', 'КиБ', 'МиБ', 'ГиБ', 'ТиБ', 'ПиБ'],
    bitRateUnits: ['бит/с', 'кбит/с', 'Мбит/с', 'Гбит/с', 'Тбит/с'],
    day: 'д',
    hour: 'ч',
    minute: 'мин',
    second: 'с',
    millisecond: 'мс',
    now: 'только что',
    ago: (duration) => `${duration} назад`,
  },
  text: {
    title: 'Sluice',
    overview: 'Обзор',
    subscribers: 'Абоненты',
    sessions: 'Сессии',
    leases: linesRussian.text.leases,
    devices: linesRussian.text.devices,
    nases: 'NAS',
    pools: 'Пулы',
    setAside: 'Отложено',
    search: 'Найти',
    searchHint: 'логин, договор, имя, телефон, улица, IP, MAC, коммутатор и порт',
    results: 'Найдено',
    nothingFound: 'Никто не найден.',
    searchHelp: 'Достаточно начала слова. Телефон ищется по последним цифрам, линия — по коммутатору и порту: sw1 5.',
    more: 'Есть ещё; уточните запрос.',
    moreRows: 'Есть ещё.',
    older: 'Раньше',
    attempts: 'Последние попытки',
    attemptsOfNobody: 'Запросы с таким логином или MAC-адресом',
    noAttempts: 'Ни одной не осталось в памяти.',
    login: 'Логин',
    contract: 'Договор',
    name: 'Имя',
    phone: 'Телефон',
    street: 'Адрес',
    plan: 'Тариф',
    state: 'Состояние',
    online: 'в сети',
    offline: 'не в сети',
    deleted: 'удалён',
    nas: 'NAS',
    box: 'Устройство',
    ip: 'IP-адрес',
    mac: 'MAC',
    since: 'С',
    ended: 'Завершена',
    until: 'До',
    duration: 'Время',
    input: 'Отправлено',
    output: 'Получено',
    cause: 'Завершение',
    remark: 'Примечание',
    when: 'Когда',
    answer: 'Ответ',
    why: 'Почему',
    port: 'Порт',
    times: (count) => `${count} раз`,
    flags: 'Признаки',
    noFlags: 'Ни один не устанавливался.',
    flag: 'Признак',
    value: 'Значение',
    changedBy: 'Кто изменил',
    changes: 'Изменения',
    change: 'Изменение',
    reason: 'Причина',
    noChanges: 'Ничего не менялось.',
    liveSessions: 'Сессии сейчас',
    noSessions: 'Сессий нет.',
    endedLastDay: 'Завершённые за сутки',
    noEnded: 'Ни одной.',
    addresses: 'Адреса',
    onDay: 'За день',
    show: 'Показать',
    lastDays: 'за последние 30 дней',
    noAddresses: 'За это время ни одного.',
    stillInUse: 'занят',
    periods: 'Периоды',
    noPeriods: 'Ни одного.',
    open: 'открыт',
    staticAddress: 'Статический адрес',
    staticPrefixes: 'Статические префиксы IPv6',
    pool: 'Пул',
    boundTo: 'Привязка',
    ownBlock: 'Добровольная блокировка',
    ownBlockEnds: (at) => `закончится сама ${at}`,
    ownBlockFrom: (at) => `следующая возможна с ${at}`,
    created: 'Заведён',
    inBilling: 'в биллинге',
    yes: 'да',
    no: 'нет',
    none: 'нет',
    nobody: 'никто',
    suspect: 'слишком долго молчит',
    startLost: 'Start потерян',
    ready: 'Готов',
    notReady: 'Не готов',
    problems: 'Неполадки',
    accepted: 'Принято',
    rejected: 'Отклонено',
    perSecond: (rate) => `${rate}/с`,
    lastHour: 'за последний час',
    fromStart: 'с момента запуска',
    acceptsChart: 'Access-Accept в секунду',
    rejectsChart: 'Access-Reject в секунду',
    accountingChart: 'Accounting-Response в секунду',
    sessionsChart: 'Сессии сейчас',
    lagChart: 'Отставание спула, записей',
    chartRange: (low, high) => `от ${low} до ${high}`,
    chartEmpty: 'График начнётся через несколько секунд.',
    rejectsByReason: 'Отказы по причинам',
    count: 'Число',
    noRejects: 'С момента запуска ни одного.',
    accounting: 'Учёт',
    accountingStatus: 'Пакет',
    subscribersInMemory: 'Абонентов в памяти',
    spoolLag: 'Отставание спула',
    records: (count) => `записей: ${count}`,
    drops: 'Отброшено без ответа',
    noDrops: 'С момента запуска ничего.',
    poolFree: 'Свободно',
    poolReserved: 'В резерве',
    poolOffered: 'Предложено',
    poolAssigned: 'Занято',
    poolQuarantined: 'Отдыхает',
    networks: 'Сети',
    routingDomain: 'Домен маршрутизации',
    profile: 'Профиль',
    lastPacket: 'Последний пакет',
    lastAccounting: 'Последний учёт',
    interim: 'Interim',
    never: 'никогда',
    noNas: 'Ни один NAS ещё не обращался.',
    noPools: 'Пулов нет.',
    nothingSetAside: 'Ничто не ждёт человека.',
    detail: 'Подробности',
    octets: 'Октетов',
    instance: 'Сервер',
    unresolved: (count) => `отложено записей: ${count}`,
    databaseAway:
      'База данных недоступна. Ответы продолжаются из памяти, факты ждут в спуле; этой странице нужна база.',
    notFound: 'Такой страницы нет.',
    noSubscriber: 'Такого абонента нет.',
    failed: 'Страницу не удалось составить. Причина в журнале сервера.',
    readOnly: 'Только чтение. Время:',
  },
  flagNames: {
    deleted: 'удалён',
    admin_blocked: 'заблокирован администрацией',
    'account.admin_blocked': 'договор заблокирован администрацией',
    own_disabled: 'добровольная блокировка',
    redirect: 'ограниченный доступ: нет денег',
    'account.plan_id': 'тариф договора',
  },
  stateNames,
  endCauses,
  outcomes,
  reason,
  state,
  sentence,
  enforcement: enforcementRussian,
  lines: linesRussian,
};
