/**
 * What is said of leases, access lines and devices, in Russian. Enters: states, reasons, numbers. Leaves: what `english-lines.ts` leaves, in Russian. Invariant: the
 * compiler refuses a text that is missing, and a test one that was left untranslated.
 */
import type { linesEnglish } from './english-lines.js';

type Words = typeof linesEnglish;

const refusals: Words['refusals'] = {
  'line-unknown': 'ни одно правило lines.toml не понимает эту опцию 82',
  'line-lies': 'длина внутри опции 82 больше самой опции, поэтому ей нельзя верить',
  'no-device': 'такого устройства нет в базе',
  'no-port': 'у устройства есть порты, а событие не называет порта',
  'no-subscriber': 'там никто не подключён, и этот MAC-адрес ни за кем не числится',
  several: 'подходят несколько абонентов, и непонятно, кто из них',
  'mac-differs': 'MAC-адрес не тот, к которому привязан абонент',
  'no-line': 'событие пришло без опции 82, а абонент определяется по порту',
  'static-address': 'у абонента статический адрес, а выдан другой',
  'outside-pools': 'адреса нет ни в одном из наших пулов',
  'address-in-session': 'адрес занят чужой сессией',
  declined: 'клиент обнаружил, что адрес уже занят',
};

const leaseEnds: Words['leaseEnds'] = {
  release: 'освобождена клиентом',
  expiry: 'истекла',
  decline: 'клиент отказался',
  moved: 'у клиента другая',
  replaced: 'на линии более новая',
  taken: 'адрес получил другой',
};

const refusal: Words['refusal'] = (code) =>
  Object.hasOwn(refusals, code) ? refusals[code as keyof typeof refusals] : code;

export const linesRussian: Words = {
  text: {
    leases: 'Аренды',
    devices: 'Устройства',
    device: 'Устройство',
    kind: 'Вид',
    group: 'Группа',
    serial: 'Серийный №',
    place: 'Место',
    description: 'Описание',
    status: 'Состояние',
    plugged: 'Подключено',
    offlineThere: 'Не в сети',
    leasesOf: 'Аренды DHCP',
    noLeases: 'Действующих аренд нет.',
    noLeasesFound: 'Действующих аренд не найдено.',
    neverLeased: 'Ни один DHCP-сервер ещё не сообщал об аренде.',
    noNas: 'без NAS',
    leasedSince: 'С',
    leasedUntil: 'До',
    overdue: 'просрочена',
    overdueNote:
      'Просрочена: должна была закончиться, но об этом никто не сообщил. Молчание DHCP-сервера никого не отключает.',
    unlimited: 'срок не назван',
    refused: 'События аренды, оставленные без действия',
    allRefused: 'Все такие события',
    noRefused: 'Таких нет.',
    refusedWhat: 'Событие',
    since: (at) => `с ${at}`,
    refusedNamed: 'Названо',
    anyReason: 'любая причина',
    source: 'Откуда',
    circuitId: 'контур',
    remoteId: 'узел',
    option82SubscriberId: 'абонент',
    filter: 'Показать',
    leaseHint: 'IP, MAC, логин, устройство или устройство и порт',
    deviceHint: 'имя, MAC, адрес или серийный номер',
    noDevices: 'Ни одно устройство не заведено.',
    noDevicesFound: 'Устройств не найдено.',
    notWorking: 'Не работают или недоступны',
    allDevices: 'Все устройства',
    nothingDown: 'Мониторинг не сообщает о неработающих.',
    next: 'Дальше',
    pluggedSubscribers: 'Подключённые абоненты',
    onlyOffline: 'только те, кто не в сети',
    everybody: 'все',
    nobodyPlugged: 'К нему никто не подключён.',
    nobodyOffline: 'Все они в сети.',
    events: 'Сообщения мониторинга',
    noEvents: 'Пока ни одного.',
    effect: 'Итог',
    told: 'Оповещено',
    note: 'Заметка',
    removed: 'снято',
    replacedBy: 'Заменено на',
    accessLine: 'Линия доступа',
    knownBy: 'Определяется по',
    neighbours: 'Соседи на устройстве',
    macSeen: 'MAC в сети',
    macDiffers: 'другой',
    refusedAround: 'События аренды этого MAC или порта, оставленные без действия',
    foundDevices: 'Устройства',
    summary: 'Аренды и устройства',
    leasesBound: 'Действующих аренд',
    leasesOverdue: 'из них просрочено',
    refusedLastHour: 'Событий без действия за час',
    devicesDown: 'Устройств не работает',
  },
  refusals,
  leaseEnds,
  sessionEnds: {
    released: 'аренда DHCP освобождена',
    expired: 'аренда DHCP истекла',
    replaced: 'аренда DHCP сменилась другой',
  },
  eventKinds: {
    commit: 'аренда',
    request: 'запрос',
    expiry: 'истечение',
    release: 'освобождение',
    decline: 'отказ клиента',
  },
  statusNames: { up: 'работает', down: 'не работает', unreachable: 'недоступно', unknown: 'нет мониторинга' },
  effects: { changed: 'изменилось', unchanged: 'не новость', late: 'опоздало' },
  option82Ways: { port: 'порту', 'port-mac': 'порту и MAC-адресу', mac: 'MAC-адресу' },
  refusal,
  leaseEnd: (code) => (Object.hasOwn(leaseEnds, code) ? leaseEnds[code as keyof typeof leaseEnds] : code),
  offlineOf: (offline, all) => `${offline} из ${all} не в сети`,
  deviceDown: ({ name, status, since }, format) =>
    `Не в сети: ${name}, куда включён абонент, ${status === 'down' ? 'не работает' : 'недоступно для мониторинга'} с ${format.instant(since)}.`,
  leaseRefused: ({ at, address, reason }, format) =>
    `Не в сети: последняя аренда DHCP (${address}, ${format.ago(at)}) оставлена без действия: ${refusal(reason)}.`,
};
