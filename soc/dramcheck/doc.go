// Package dramcheck tells whether a stream of DRAM commands is legal. It knows the table of timings and the states of the banks, nothing of the controller that made the stream: no
// requests, queues or policies, and no code of a controller.
//
// It checks each command against all that came before:
//
//   - the state: reads and writes find their row open, activates find the bank closed, refreshes find all banks closed; in power-down comes nothing but the exit. To precharge a closed bank is a
//     legal NOP;
//   - the distance to earlier commands: tRCD, tRP, tRAS, tRC, tRRD, tFAW, tRTP, tWR, tCCD, read to write, tWTR, tRFC, tXP, tCKE, and the last burst before power-down;
//   - auto-precharge: the bank is closed for reads and writes at once; its next activate and the next refresh wait as if the precharge came at the earliest legal clock after the burst;
//   - the data bus, by the clocks in which bursts occupy it, independently of the distances above: bursts come in the order of their commands, do not overlap, and leave tRTRS clocks
//     between a read and a write after it and between two ranks;
//   - the command bus: one command in a clock;
//   - refresh: the interval between two, and their number over time, with as many postponed or pulled in as Timing.Postponed allows.
//
// A command is reported under every rule that it breaks: a read one clock early after another breaks tCCD and overlaps on the data bus. Checking then goes on as if the command had been legal,
// except that a read or write of a closed bank, and a command out of range, leave no trace in the bank.
//
// Distances in clocks from one command to another, with D = BL/2 the clocks of a burst:
//
//	activate   read, write   same bank    tRCD
//	activate   precharge     same bank    tRAS
//	activate   activate      same bank    tRC
//	activate   activate      same rank    tRRD; to the fourth before, tFAW
//	activate   refresh       same rank    tRC
//	precharge  activate      same bank    tRP
//	precharge  refresh       same rank    tRP
//	read       precharge     same bank    tRTP
//	write      precharge     same bank    CWL + D + tWR
//	read_p     activate      same bank    tRTP + tRTPA + tRP
//	read_p     refresh       same rank    tRTP + tRP
//	write_p    activate      same bank    CWL + D + tWR + tRP; also to a refresh of the rank
//	read       read          same rank    tCCD; likewise two writes
//	read       write         channel      CL + D - CWL + tRTRS
//	write      read          same rank    CWL + D + tWTR
//	refresh    any           same rank    tRFC, power-down apart
//	read       power-down    same rank    CL + D
//	write      power-down    same rank    CWL + D + tWR
//	power-down exit          same rank    tCKE; likewise exit to power-down
//	exit       any           same rank    tXP, power-down apart
//
// One Checker checks one channel; channels are independent. Left out: bank groups, per-bank and self refresh, mode registers, the initialisation, burst terminate, and the longest time that a row may
// stay open. A precharge that finds the bank still busy with an auto-precharge is taken for a NOP.
//
// The cost is O(1) a command (a precharge of all banks: O(banks)) and no allocation.
//
// Sources: the table is the one that DRAMsim3 (commit 2981759) keeps to. Refresh: Winbond W632GU6NB (DDR3L), section 8.15: eight may be
// postponed and eight pulled in, 9 tREFI at most between two. Auto-precharge at the earliest clock: Alliance AS4C16M32MD1 (LPDDR), section 7.8. tDAL: its name in the SDRC's registers. tRDPDEN and
// tWRPDEN, the last burst before power-down, are estimates: the last beat, and the write recovery; DDR3 asks for one clock more.
package dramcheck
