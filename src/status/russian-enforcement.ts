/**
 * What is said of commanding NASes, in Russian. Enters: states, commands, numbers. Leaves: what `english-enforcement.ts` leaves, in Russian.
 * Invariant: the compiler refuses a text that is missing, and a test one that was left untranslated.
 */
import type { enforcementEnglish } from './english-enforcement.js';

type Words = typeof enforcementEnglish;

const commandNames: Words['commandNames'] = {
  usluga_deactivated: ['услуга завершена', 'завершить услугу'],
  user_drop: ['заблокирован', 'заблокировать'],
  own_disabled: ['добровольная блокировка включена', 'включить добровольную блокировку'],
  user_redirect: ['доступ ограничен: нет денег', 'ограничить доступ: нет денег'],
  user_disconnect: ['отключён', 'отключить'],
  user_del: ['убран', 'убрать'],
  user_add: ['добавлен', 'добавить'],
  user_accept: ['блокировка снята', 'снять блокировку'],
  own_disabled_cancel: ['добровольная блокировка снята', 'снять добровольную блокировку'],
  user_redirect_cancel: ['ограничение доступа снято', 'снять ограничение доступа'],
  user_rate_set: ['скорость установлена', 'установить скорость'],
  user_rate_set_cancel: ['скорость отменена', 'отменить скорость'],
  user_auth: ['впущен', 'впустить'],
  usluga_activated: ['услуга включена', 'включить услугу'],
};

const command: Words['command'] = (row) => {
  const names = commandNames[row.command];
  const name = names === undefined ? row.command : row.outcome === 'applied' ? names[0] : `нужно: ${names[1]}`;
  return row.service === null ? name : `${name}: ${row.service}`;
};

const answer: Words['answer'] = (row, after) => {
  const { nas_name: nas, outcome } = row;
  const detail = row.detail === null || row.detail === '' ? '' : `: ${row.detail}`;
  switch (outcome) {
    case 'applied':
      return `${nas} подтвердил через ${after}`;
    case 'session-gone':
      return `${nas} не знает этой сессии`;
    case 'refused':
      return `${nas} отказал${detail}`;
    case 'unreachable':
      return `${nas} не ответил за ${after}${detail}`;
    case 'later':
      return `${nas} просит повторить позже${detail}`;
    case 'unsayable':
      return `${nas}: команду не передать${detail}`;
    case 'disproved':
      return `${nas} подтвердил, но это не так${detail}`;
    default:
      return `${nas}: ${outcome}${detail}`;
  }
};

const held: Words['held'] = ({ changes, held_at: at, reason }, format) => {
  const why =
    reason === null ? '' : ` (прошло ${format.number(reason.tightened)} из допустимых ${format.number(reason.limit)})`;
  return `Изменений задержано: ${format.number(changes)}, с ${format.instant(at)}${why}. Блокировки, ограничения и снижение скорости ждут команды:`;
};

export const enforcementRussian: Words = {
  text: {
    onTheNetwork: 'В сети оператора',
    noPlaces: 'Ни на одном NAS ничего об этом абоненте нет.',
    sessionPlace: (acctSessionId) => `сессия ${acctSessionId}`,
    pastSession: 'завершённая сессия',
    entryPlace: 'запись',
    what: 'Что',
    desired: 'Должно быть',
    applied: 'Действует',
    tried: 'Отправлено, не доказано',
    unknown: 'неизвестно',
    notLookedAt: 'ещё не рассмотрено',
    absent: 'отсутствует',
    access: 'Доступ',
    served: 'обслуживается',
    blocked: 'заблокирован администрацией',
    redirect: 'ограниченный доступ: нет денег',
    ownDisabled: 'добровольная блокировка',
    authorised: 'Впущен',
    rate: 'Скорость',
    rateDown: (rate) => `${rate} к абоненту`,
    rateUp: (rate) => `${rate} от абонента`,
    unlimited: 'без ограничения',
    services: 'Услуги',
    key: 'Известен там как',
    evidence: 'Доказательство',
    lastError: 'Последняя ошибка',
    nextLook: 'Следующая проверка',
    tries: (count) => `попыток: ${count}`,
    gone: 'NAS ответил, что не знает этой сессии.',
    disproved: (times, at) => `NAS подтвердил то, чего не сделал: ${times} ×, замечено ${at}.`,
    parkedRate: (rate) => `отказано: ${rate}`,
    commands: 'Команды',
    noCommands: 'Ни одной не отправлялось.',
    answerAfter: 'Через',
    how: 'Способ',
    sent: 'Отправлено',
    converging: 'До согласования',
    convergeUnknown: 'не узнать, пока он молчит',
    owner: 'Управляет',
    nobodyCommands: 'никто',
    ownerSilent: 'давно молчит',
    notCommanded: 'не управляется',
    observed: 'только наблюдение: ничего не отправляется',
    breaker: 'NAS сейчас',
    places: 'Мест',
    enforcementByState: 'Места на NAS по состояниям',
    noPlacesYet: 'Пока ни одного.',
    unsettled: 'Не так, как должно быть',
    allSettled: 'Всё так, как должно быть.',
    compared: 'Сверка',
    comparedBy: (at, by) => `${at}, ${by}`,
    comparedAtNight: (at) => `${at}, автоматически`,
    comparedDry: 'только проверка',
    listedOf: (listed, wanted) => `на NAS ${listed}, должно быть ${wanted}`,
    nothingDiffers: 'расхождений нет',
    mended: (count) => `исправляется: ${count}`,
    beyondLimit: (count) => `сверх предела: ${count}`,
    waiting: 'Ждут',
    inFlight: 'Выполняются',
  },
  stateNames: {
    new: 'новое',
    converged: 'согласовано',
    pending: 'выполняется',
    parked: 'отложено',
    held: 'задержано',
    observed: 'наблюдается',
  },
  stateNotes: {
    new: 'Ещё не рассмотрено.',
    converged: 'NAS делает то, что должен.',
    pending: 'Команды в пути или повторяются.',
    parked: 'NAS отказал, или команду ему не передать. Повтора не будет, пока не понадобится что-то другое.',
    held: 'Предохранитель держит это изменение, пока не сказано: sluice hold release',
    observed: 'За этим NAS только наблюдают: ему ничего не отправляется.',
  },
  findingNames: {
    missing: 'отсутствует',
    'wrong-policy': 'не та политика',
    moved: 'не на своём месте',
    'duplicate-address': 'чужой адрес',
    'left-over': 'лишнее',
    unknown: 'неизвестное',
  },
  breakerNames: { closed: 'отвечает', open: 'молчит', 'half-open': 'проверяется' },
  evidenceNames: {
    class: 'так было в Accept',
    ack: 'NAS подтвердил',
    output: 'вывод NAS',
    'exit-code': 'код завершения скрипта',
    'read-back': 'прочитано с NAS',
    'session-over': 'сессия завершилась',
    'not-applicable': 'делать там нечего',
  },
  outcomeNames: {
    applied: 'подтверждено',
    'session-gone': 'нет такой сессии',
    refused: 'отказ',
    unreachable: 'нет ответа',
    later: 'позже',
    unsayable: 'не передать',
    disproved: 'подтверждено, но не так',
  },
  commandNames,
  command,
  answer,
  held,
};
