// Package checks asks the questions that a release has to answer before its launch, one file a question. All
// is the list of them; guard says what a check is, and the engine runs them.
//
// A check learns about the world through its scene only, and judges the plain data that the scene answers, so
// that the same answers always lead to the same findings. What could not be found out is never a pass: a
// question without an answer, or with one that cannot be, makes the finding unknown and keeps the gate shut.
package checks

import "github.com/golive-dev/golive/guard"

// All returns the built-in checks in the order in which their findings are printed, which is that of their codes.
func All() []guard.Check {
	return []guard.Check{
		planValid,
		planReviewed,
		planOwner,
		windowAllowed,
		rtoEvidence,
		rpoEvidence,
		wavesDefined,
		newtechValidation,
		watchHeightened,
		attestFresh,
		backupCoverage,
		backupAge,
		backupVerify,
		backup321,
		backupRestoreDrill,
		backupRestorePath,
		backupSizeSane,
		backupTargetSpace,
		backupPlanComplete,
		rollbackTarget,
		rollbackDryRun,
		rollbackDrill,
		rollbackCompat,
		rollbackTime,
		rollbackIndependent,
		standbyReady,
		standbyTested,
		dnsFallback,
		scenarioCoverage,
		rosterRoles,
		rosterDepth,
		contactValid,
		rosterFresh,
		rosterCoverage,
		rosterStaffing,
		vendorContact,
		vendorContract,
		vendorSLA,
		rosterTimezones,
		metricsLive,
		metricsGolden,
		metricsTraffic,
		metricsBaselineGreen,
		ledgerIntact,
		reportOverdue,
		actionsOverdue,
		capacityHeadroom,
		toolsPresent,
		tlsExpiry,
	}
}
